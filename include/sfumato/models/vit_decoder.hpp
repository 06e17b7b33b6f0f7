// The decoder of a representation autoencoder: a ViT from latent tokens to pixels (Zheng et al., arXiv 2510.11690, section 3; after MAE's).
// Official weights: `rae_decoder_names` in train/official_names.hpp.
#pragma once

#include <sfumato/models/latent_tokens.hpp>
#include <sfumato/models/vision_encoder.hpp>

SFUMATO_BEGIN

/// `Input` is a LatentTokens, `Trunk` a Transformer without condition; each token becomes a patch of Patch x Patch pixels. A class token
/// without meaning stands in front, as in MAE; positions are a fixed sine-cosine table. `ColourLaw` is the encoder's.
template <class Input, class Trunk, int Patch, class ColourLaw = ImageNetColours> struct ViTDecoder {
  static constexpr int width = Trunk::width, tokens = Input::tokens, token_dim = Input::token_dim, channels = int(ColourLaw::mean.size()), side = Input::grid * Patch;
  static constexpr int prefix = 1;  ///< tokens in front: the class token
  using LatentShape = Shape<dynamic, tokens, token_dim>;
  using ImageShape = Shape<dynamic, channels, side, side>;
  using Init = typename Trunk::Init;
  using Colours = ColourLaw;

  layer::Linear<token_dim, width, true, Init> embed;
  Param<Shape<1, tokens + 1, width>, init::FromTable<layer::SinCosTable<Input::grid, width, 1>>, true> pos_embed;
  Param<Shape<1, 1, width>, init::Zero> cls_token;
  Trunk trunk;
  typename Trunk::norm::template Layer<width> norm;
  layer::Linear<width, Patch * Patch * channels, true, Init> pred;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("decoder_embed", self.embed);
    visit("decoder_pos_embed", self.pos_embed);
    visit("trainable_cls_token", self.cls_token);
    visit("", self.trunk);
    visit("decoder_norm", self.norm);
    visit("decoder_pred", self.pred);
  }

  /// Latents (batch, tokens, token_dim), as the encoder gives them, to images in [0, 1] or in [-1, 1], (batch, channels, side, side); not clipped.
  template <Range R = Range::unit, class Ctx, AnyValue Z> constexpr auto decode(Ctx& ctx, const Z& latents) const {
    return denormalise<R>(ctx, (*this)(ctx, latents));
  }
  /// The same in the encoder's normalised colours.
  template <class Ctx, AnyValue Z> constexpr auto operator()(Ctx& ctx, const Z& latents) const { return pixels(ctx, features(ctx, latents)); }

  // In parts, for objectives that need what stands before the last layer.

  /// Latents to normed tokens, (batch, tokens, width).
  template <class Ctx, AnyValue Z> constexpr auto features(Ctx& ctx, const Z& latents) const {
    require<rule::SameShape<ViTDecoder, typename Z::shape, LatentShape>>();
    const auto cls = ops::parameter<Shape<dynamic, 1, width>>(ctx, cls_token, latents.batch);
    const auto placed = ops::add_parameter(ctx, ops::concat<axis::tokens>(ctx, cls, embed(ctx, latents)), pos_embed);
    return ops::slice<axis::tokens, 1, tokens + 1>(ctx, norm(ctx, trunk(ctx, placed)));
  }
  /// Those to pixels, in the encoder's normalised colours.
  template <class Ctx, AnyValue H> constexpr auto pixels(Ctx& ctx, const H& seen) const {
    return ops::unpatchify<Patch, channels, ops::PatchOrder::row_column_channel>(ctx, pred(ctx, seen));
  }
  /// Normalised colours to images in [0, 1] or in [-1, 1].
  template <Range R, class Ctx, AnyValue X> static constexpr auto denormalise(Ctx& ctx, const X& pixels) {
    return ops::channel_affine(ctx, pixels, gains<R>(), offsets<R>());
  }
  /// The gradient of the last layer's weight, (patch values, width), that goes with one of its images, as `denormalise<R>` gave them, and
  /// the tokens that they were painted from.
  template <Range R, class Ctx, AnyValue G, AnyValue H> static constexpr auto last_gradient(Ctx& ctx, const G& d_images, const H& seen) {
    const auto d_pixels = ops::channel_affine(ctx, d_images, gains<R>(), std::array<double, std::size_t(channels)>{});
    return ops::einsum<"b n p, b n d -> p d">(ctx, ops::patchify<Patch, ops::PatchOrder::row_column_channel>(ctx, d_pixels), seen);
  }

 private:
  template <Range R> static constexpr auto gains() {
    auto out = ColourLaw::deviation;
    for (double& v : out) v *= R == Range::unit ? 1 : 2;
    return out;
  }
  template <Range R> static constexpr auto offsets() {
    auto out = ColourLaw::mean;
    for (double& v : out) v = R == Range::unit ? v : 2 * v - 1;
    return out;
  }
};

/// The published trunks (RAE's code): MLPs of 4 times the width, but for XL's 4096.
template <int Width, int Depth, int NumHeads, class... More>
using DecoderTrunk = Transformer<Width, Depth, LayerNormPolicy<true, std::ratio<1, 1'000'000'000'000>>, GELU, Heads<NumHeads>, LinearInit<init::UniformFanIn>, More...>;
template <int Dim = 768, int Patch = 16, int Grid = 16, class ColourLaw = ImageNetColours> using ViTDecoder_B = ViTDecoder<ImageNetTokens<Dim, Grid>, DecoderTrunk<768, 12, 12>, Patch, ColourLaw>;
template <int Dim = 768, int Patch = 16, int Grid = 16, class ColourLaw = ImageNetColours> using ViTDecoder_L = ViTDecoder<ImageNetTokens<Dim, Grid>, DecoderTrunk<1024, 24, 16>, Patch, ColourLaw>;
template <int Dim = 768, int Patch = 16, int Grid = 16, class ColourLaw = ImageNetColours> using ViTDecoder_XL = ViTDecoder<ImageNetTokens<Dim, Grid>, DecoderTrunk<1152, 28, 16, MlpRatio<32, 9>>, Patch, ColourLaw>;

SFUMATO_END
