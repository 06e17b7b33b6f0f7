// A masked autoencoder (He et al. 2022), which trains a vision encoder on images alone: it sees some patches and tells what the others
// hold. Parameter names are those of the published checkpoints; the decoder is without their class token.
#pragma once

#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/ops/gather.hpp>

SFUMATO_BEGIN

/// `Encoder` is a VisionEncoder, of whose tokens `Visible` are shown in training; `Trunk`, a Transformer without condition, decodes.
template <class Encoder, class Trunk, int Visible> struct MaskedAutoencoder : private rule::TokensUnordered<!Encoder::rotary && !Trunk::rotary> {
  using ImageShape = typename Encoder::ImageShape;
  static constexpr int tokens = Encoder::tokens, visible = Visible, hidden = tokens - Visible, width = Trunk::width, patch = Encoder::patch,
                       patch_values = Encoder::patch_values;

  Encoder encoder;
  layer::Linear<Encoder::width, width> embed;
  Param<Shape<1, 1, width>, init::Normal02> mask_token;
  Param<Shape<1, tokens, width>, init::FromTable<layer::SinCosTable<Encoder::grid, width>>, true> pos_embed;
  Trunk trunk;
  typename Trunk::norm::template Layer<width> norm;
  layer::Linear<width, patch_values> pred;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("", self.encoder);
    visit("decoder_embed", self.embed);
    visit("mask_token", self.mask_token);
    visit("decoder_pos_embed", self.pos_embed);
    visit("decoder_blocks", self.trunk.blocks);
    visit("decoder_norm", self.norm);
    visit("decoder_pred", self.pred);
  }

  /// Normalised images, and for each an order of its patches of which the first `Visible` are shown: what the others hold, (batch,
  /// hidden, patch_values), in that order, each by row, column and channel. `order`: batch * tokens numbers.
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images, std::span<const int> order) const {
    const Index n = images.batch;
    check(Index(order.size()) == n * tokens, "batch", "MaskedAutoencoder was given ", n, " images and ", order.size(), " places, expected ", n * tokens);
    const auto shown = [&] {
      const auto patches = encoder.embed(ctx, images);
      if constexpr (Ctx::counting) {
        return ops::gather<Visible>(ctx, patches, order);
      } else {
        const auto first = part<0, Visible>(ctx, order);
        return ops::gather<Visible>(ctx, patches, std::span<const int>{first.data(), first.size()});
      }
    }();
    const auto seen = embed(ctx, encoder.encode_patches(ctx, shown));
    const auto masks = ops::broadcast<axis::tokens, hidden>(ctx, ops::parameter<Shape<dynamic, width>>(ctx, mask_token, n));
    const auto places = ops::gather<tokens>(ctx, ops::parameter<Shape<dynamic, tokens, width>>(ctx, pos_embed, n), order);
    const auto decoded = norm(ctx, trunk(ctx, ops::add(ctx, ops::concat<axis::tokens>(ctx, seen, masks), places)));
    return pred(ctx, ops::slice<axis::tokens, Visible, tokens>(ctx, decoded));
  }
  /// The same on symbols, for `cost_of<MaskedAutoencoder<...>>(batch)`.
  constexpr auto operator()(Count& count, Index batch) const {
    return (*this)(count, Count::input<ImageShape>(batch), std::span(static_cast<const int*>(nullptr), static_cast<std::size_t>(batch * tokens)));
  }
  /// Places [First, Last) of every image's order.
  template <int First, int Last, class Ctx> static auto part(Ctx& ctx, std::span<const int> order) {
    constexpr std::size_t size = Last - First;
    const std::size_t n = order.size() / std::size_t(tokens);
    auto out = ctx.workspace().template host<int>(n * size);
    for (std::size_t b = 0; b < n; ++b)
      for (std::size_t i = 0; i < size; ++i) out[b * size + i] = order[b * std::size_t(tokens) + std::size_t(First) + i];
    return out;
  }
};

SFUMATO_END
