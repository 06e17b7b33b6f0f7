// Latents at the scale that diffusion wants: each element with the mean and variance it has over a data set taken out.
#pragma once

#include <sfumato/ops/movement.hpp>

SFUMATO_BEGIN

/// z -> (z - mean) / sqrt(variance + 1e-5) for latents (batch, Tokens, Dim), element by element, and back (RAE; its code). Without
/// trained parameters; `read_statistics` (train/latent_statistics.hpp) fills it.
template <int Tokens, int Dim> struct LatentScale {
  static constexpr int tokens = Tokens, token_dim = Dim;
  static constexpr double epsilon = 1e-5;
  using LatentShape = Shape<dynamic, Tokens, Dim>;
  template <class Init> using Table = Param<Shape<Tokens, Dim>, Init, true>;

  Table<init::Zero> mean, shift;      ///< shift: -mean / deviation
  Table<init::One> deviation, scale;  ///< scale: 1 / deviation

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("mean", self.mean);
    visit("shift", self.shift);
    visit("deviation", self.deviation);
    visit("scale", self.scale);
  }
  /// An encoder's latents to the scale of diffusion.
  template <class Ctx, AnyValue Z> constexpr auto normalise(Ctx& ctx, const Z& latents) const {
    require<rule::SameShape<LatentScale, typename Z::shape, LatentShape>>();
    return ops::add_parameter(ctx, ops::multiply_parameter(ctx, latents, scale), shift);
  }
  /// And back, for the decoder.
  template <class Ctx, AnyValue Z> constexpr auto denormalise(Ctx& ctx, const Z& latents) const {
    require<rule::SameShape<LatentScale, typename Z::shape, LatentShape>>();
    return ops::add_parameter(ctx, ops::multiply_parameter(ctx, latents, deviation), mean);
  }
};

SFUMATO_END
