// Positions, times, labels and patches.
#pragma once

#include <sfumato/nn/layers.hpp>

#include <cmath>

SFUMATO_BEGIN

namespace layer {

/// 2-D rotary table: `Prefix` unrotated tokens, then Grid x Grid tokens row by row. A head's first half turns with the row,
/// its second with the column; pair k of a half of q dims turns by position * 10000^(-2k/q) (JiT; EVA-02's "lang" frequencies).
template <int Grid, int HeadDim, int Prefix = 0> struct RotaryTable {
  static constexpr int rows = Prefix + Grid * Grid, width = HeadDim;
  static constexpr Index size = Index{rows} * width;

  static void fill(double* table) {
    constexpr int axis_width = HeadDim / 2;
    for (int token = 0; token < rows; ++token)
      for (int pair = 0; pair < HeadDim / 2; ++pair) {
        const int patch = token - Prefix, in_half = pair % (axis_width / 2);
        const int position = patch < 0 ? 0 : pair < axis_width / 2 ? patch / Grid : patch % Grid;
        const double angle = position * std::pow(10000.0, -2.0 * in_half / axis_width);
        *table++ = std::cos(angle);
        *table++ = std::sin(angle);
      }
  }
};

/// 2-D sine-cosine table (MAE): the first half of the channels encodes the column, the second the row; each half is
/// [sin | cos] of position * 10000^(-k / (Width/4)). `Prefix` rows of zeros stand in front.
template <int Grid, int Width, int Prefix = 0> struct SinCosTable : private rule::PositionWidth<Width> {
  static constexpr int rows = Prefix + Grid * Grid, width = Width;
  static constexpr Index size = Index{rows} * Width;

  static void fill(double* table) {
    constexpr int quarter = Width / 4;
    for (int i = 0; i < Prefix * Width; ++i) *table++ = 0;
    for (int token = 0; token < Grid * Grid; ++token)
      for (int i = 0; i < Width; ++i) {
        const int position = i < Width / 2 ? token % Grid : token / Grid;
        const double angle = position * std::pow(10000.0, -double(i % quarter) / quarter);
        *table++ = (i / quarter) % 2 == 0 ? std::sin(angle) : std::cos(angle);
      }
  }
};

/// Time t (taken as it is, in [0, 1] for JiT) to a condition: sinusoidal, then linear, SiLU, linear.
template <int Width, int Frequencies = 256> struct TimeEmbedding {
  Linear<Frequencies, Width, true, init::Normal02> first;
  Linear<Width, Width, true, init::Normal02> second;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("mlp.0", self.first);
    visit("mlp.2", self.second);
  }
  /// times: one per sample; y: (batch, Width).
  template <class Ctx> constexpr auto operator()(Ctx& ctx, std::span<const double> times) const {
    return second(ctx, first(ctx, ops::sinusoidal<Frequencies>(ctx, times), Activation::silu));
  }
};

/// 1 - t for each: of times of data those of noise, as published weights count them. In host memory of the context's workspace.
template <class Ctx> auto times_of_noise(Ctx& ctx, std::span<const double> times) {
  auto noise = ctx.workspace().template host<double>(times.size());
  for (std::size_t b = 0; b < times.size(); ++b) noise[b] = 1 - times[b];
  return noise;
}

/// Time t to a condition by Gaussian Fourier features of frequencies W ~ N(0, 1), which are not trained; then linear, SiLU, linear.
/// Biases start as they go with weights of `Init` (RAE; its code).
template <int Width, class Init = init::XavierUniform, int Frequencies = 256> struct FourierTimeEmbedding {
  Param<Shape<Frequencies>, init::Normal<std::ratio<1>>, true> frequencies;
  Linear<2 * Frequencies, Width, true, init::BiasAs<init::Normal02, Init>> first;
  Linear<Width, Width, true, init::BiasAs<init::Normal02, Init>> second;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("W", self.frequencies);
    visit("mlp.0", self.first);
    visit("mlp.2", self.second);
  }
  /// times: one per sample; y: (batch, Width).
  template <class Ctx> constexpr auto operator()(Ctx& ctx, std::span<const double> times) const {
    return second(ctx, first(ctx, ops::fourier(ctx, frequencies, times), Activation::silu));
  }
};

/// A vector by class; label `Classes` is the null class of classifier-free guidance.
template <int Classes, int Width> struct LabelEmbedding {
  Param<Shape<Classes + 1, Width>, init::Normal02> table;

  static constexpr void parameters(auto& self, auto&& visit) { visit("embedding_table.weight", self.table); }
  template <class Ctx> constexpr auto operator()(Ctx& ctx, std::span<const int> labels) const { return ops::embedding(ctx, table, labels); }
};

/// Tokens of `Dim` values to `Width`, as a convolution of one pixel.
template <int Dim, int Width> struct TokenEmbedding {
  Linear<Dim, Width, true, init::XavierUniform, Shape<Width, Dim, 1, 1>> proj;

  static constexpr void parameters(auto& self, auto&& visit) { visit("proj", self.proj); }
  /// x: (batch, tokens, Dim); y: (batch, tokens, Width).
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return proj(ctx, x); }
};

/// Patch embedding as a convolution with stride `Patch`: one, or two through a bottleneck.
template <int Channels, int Patch, int Width, int Through> struct PatchEmbedding {
  static constexpr int token_dim = Channels * Patch * Patch;
  Linear<token_dim, Through, false, init::XavierUniform, Shape<Through, Channels, Patch, Patch>> proj1;
  Linear<Through, Width, true, init::XavierUniform, Shape<Width, Through, 1, 1>> proj2;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("proj1", self.proj1);
    visit("proj2", self.proj2);
  }
  /// images: (batch, Channels, size, size); y: (batch, patches, Width).
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images) const {
    return proj2(ctx, proj1(ctx, ops::patchify<Patch, ops::PatchOrder::channel_row_column>(ctx, images)));
  }
};
template <int Channels, int Patch, int Width> struct PatchEmbedding<Channels, Patch, Width, 0> {
  static constexpr int token_dim = Channels * Patch * Patch;
  Linear<token_dim, Width, true, init::XavierUniform, Shape<Width, Channels, Patch, Patch>> proj;

  static constexpr void parameters(auto& self, auto&& visit) { visit("proj", self.proj); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images) const {
    return proj(ctx, ops::patchify<Patch, ops::PatchOrder::channel_row_column>(ctx, images));
  }
};

}  // namespace layer

SFUMATO_END
