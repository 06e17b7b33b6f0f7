// A representation autoencoder and the diffusion between its halves: Zheng et al., arXiv 2510.11690.
#pragma once

#include <sfumato/models/dit.hpp>
#include <sfumato/models/latent_scale.hpp>
#include <sfumato/models/vit_decoder.hpp>

SFUMATO_BEGIN

/// A frozen encoder, a diffusion model in its latents, and a decoder, which must agree on what a latent is, and encoder and decoder on colours. Programs name their three
/// models by it; each has weights of its own.
template <class EncoderModel, class DiffusionModel, class DecoderModel> struct RAE
    : private rule::SameLatents<DiffusionModel, EncoderModel::tokens, EncoderModel::token_dim, DiffusionModel::tokens, DiffusionModel::token_dim>,
      private rule::SameLatents<DecoderModel, EncoderModel::tokens, EncoderModel::token_dim, DecoderModel::tokens, DecoderModel::token_dim>,
      private rule::SameColours<DecoderModel, typename EncoderModel::Colours, typename DecoderModel::Colours> {
  using Encoder = EncoderModel;
  using Diffusion = DiffusionModel;
  using Decoder = DecoderModel;
  using Scale = LatentScale<Encoder::tokens, Encoder::token_dim>;
  using LatentShape = typename Scale::LatentShape;
};

SFUMATO_END
