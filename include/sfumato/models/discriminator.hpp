// What tells made images from real ones by a frozen network's features: Zheng et al., arXiv 2510.11690 (RAE), appendix C, after StyleGAN-T
// (Sauer et al. 2023). Parameter names are those of the published code.
#pragma once

#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/ops/window.hpp>

#include <array>
#include <tuple>
#include <utility>

SFUMATO_BEGIN

namespace init {
/// A vector of length 1: 1/sqrt(n) with either sign.
struct UnitSigns {
  static double value(const Random& random, Index i, Index fan_in, Index fan_out) {
    return ((random.bits(static_cast<std::uint64_t>(i)) & 1u) != 0 ? 1 : -1) / std::sqrt(static_cast<double>(fan_in * fan_out));
  }
};
}  // namespace init

namespace layer {

/// A 1-D convolution on a ring of places whose weight is divided by its largest singular value (Miyato et al. 2018), by PyTorch's names.
/// That value is u^T W v, u and v as `iterate_power` leaves them; gradients flow through W in it. (batch, n, In) to (batch, n, Out).
template <int In, int Out, int Kernel = 1> struct SpectralConvolution {
  static constexpr int columns = In * Kernel;
  Param<Shape<Out, In, Kernel>, init::UniformFanIn> weight_orig;
  Param<Shape<Out>, init::UnitSigns, true> weight_u;
  Param<Shape<columns>, init::UnitSigns, true> weight_v;
  Param<Shape<Out>, init::UniformWithin<columns>> bias;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight_orig", self.weight_orig);
    visit("weight_u", self.weight_u);
    visit("weight_v", self.weight_v);
    visit("bias", self.bias);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    const auto scale = ops::broadcast<1, columns>(ctx, ops::broadcast<0, Out>(ctx, ops::activation(ctx, largest_singular_value(ctx), ops::Reciprocal{})));
    const auto normalised = ops::reshape<Shape<Out, In, Kernel>>(ctx, ops::multiply(ctx, weight(ctx), scale));
    return ops::circular_convolution<Kernel>(ctx, x, normalised, bias);
  }
  /// Of the weight as (Out, In * Kernel), as far as u and v know it.
  template <class Ctx> constexpr auto largest_singular_value(Ctx& ctx) const {
    const auto seen = ops::einsum<"o i, i -> o">(ctx, weight(ctx), ops::parameter<Shape<columns>>(ctx, weight_v, 1));
    return ops::einsum<"o, o ->">(ctx, ops::parameter<Shape<Out>>(ctx, weight_u, 1), seen);
  }
  /// The next u and v.
  template <class Ctx> constexpr auto iterated(Ctx& ctx) const {
    const auto unit = [&ctx]<AnyValue V>(const V& x) {
      constexpr int n = width_of<typename V::shape>;
      return ops::scale(ctx, 1 / std::sqrt(double(n)), ops::norm<NormKind::rms>(ctx, x, None{}, None{}, 1e-24));
    };
    const auto v = unit(ops::einsum<"o i, o -> i">(ctx, weight(ctx), ops::parameter<Shape<Out>>(ctx, weight_u, 1)));
    return std::make_pair(unit(ops::einsum<"o i, i -> o">(ctx, weight(ctx), v)), v);
  }

 private:
  template <class Ctx> constexpr auto weight(Ctx& ctx) const { return ops::parameter<Shape<Out, columns>>(ctx, weight_orig, 1); }
};

/// Each sample's channels brought to mean 0 and variance 1 over its tokens, then scaled and shifted: a batch norm of virtual batches of
/// one sample. (batch, n, Width).
template <int Width> struct ChannelNorm {
  Param<Shape<Width>, init::One> weight;
  Param<Shape<Width>, init::Zero> bias;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    const auto normed = ops::norm<NormKind::layer>(ctx, ops::permute<0, 2, 1>(ctx, x), None{}, None{}, 1e-6);
    return ops::add_parameter(ctx, ops::multiply_parameter(ctx, ops::permute<0, 2, 1>(ctx, normed), weight), bias);
  }
};

/// One opinion for each token: (batch, n, Width) to (batch, n).
template <int Width, int Kernel> struct DiscriminatorHead {
  SpectralConvolution<Width, Width> enter;
  ChannelNorm<Width> enter_norm;
  SpectralConvolution<Width, Width, Kernel> mix;
  ChannelNorm<Width> mix_norm;
  SpectralConvolution<Width, 1> leave;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("0.0", self.enter);
    visit("0.1", self.enter_norm);
    visit("1.fn.0", self.mix);
    visit("1.fn.1", self.mix_norm);
    visit("2", self.leave);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    constexpr double half = 0.70710678118654752440;
    const auto entered = ops::activation(ctx, enter_norm(ctx, enter(ctx, x)), ops::LeakyReLU<>{});
    const auto mixed = ops::combine(ctx, half, ops::activation(ctx, mix_norm(ctx, mix(ctx, entered)), ops::LeakyReLU<>{}), half, entered);
    return ops::reshape<Shape<dynamic, extent<typename X::shape, axis::tokens>>>(ctx, leave(ctx, mixed));
  }
};

}  // namespace layer

/// Heads on what the blocks `Taps` (ascending) of a frozen `Network`, a VisionEncoder, make of images: one on the last of them, and then
/// one on each. Its weights are the heads' alone.
template <class NetworkModel, int Kernel, int... Taps> requires (sizeof...(Taps) > 0) struct Discriminator {
  using Network = NetworkModel;
  static constexpr int width = Network::width, tokens = Network::tokens, heads_count = 1 + int(sizeof...(Taps));

  std::array<layer::DiscriminatorHead<width, Kernel>, std::size_t(heads_count)> heads;

  static constexpr void parameters(auto& self, auto&& visit) { visit("heads", self.heads); }

  /// `frozen` holds the network's weights, ctx the heads'. images: in [-1, 1], (batch, channels, side, side) of any side; y: (batch,
  /// heads * tokens), above 0 for real ones.
  template <class Frozen, class Ctx, AnyValue X> auto operator()(Frozen& frozen, Ctx& ctx, const Network& network, const X& images) const {
    return (*this)(ctx, network.template taps<Taps...>(frozen, network.template normalise<Range::signed_unit, Interpolation::linear>(frozen, images)));
  }
  /// Of the network's features, (batch, tokens, width) each.
  template <class Ctx, AnyValue... X> constexpr auto operator()(Ctx& ctx, const std::tuple<X...>& seen) const {
    return joined<0>(ctx, heads[0](ctx, std::get<sizeof...(X) - 1>(seen)), seen);
  }

 private:
  template <std::size_t I, class Ctx, AnyValue Y, class Seen> constexpr auto joined(Ctx& ctx, const Y& so_far, const Seen& seen) const {
    if constexpr (I == sizeof...(Taps)) return so_far;
    else return joined<I + 1>(ctx, ops::concat<1>(ctx, so_far, heads[I + 1](ctx, std::get<I>(seen))), seen);
  }
};

/// RAE's: on DINO's ViT-S/8, 7,386,245 parameters.
using RAEDiscriminator = Discriminator<DINO_S8, 9, 2, 5, 8, 11>;

namespace detail {
struct SpectralConvolutions {
  template <class M> static constexpr bool wants = requires(M& m) { m.weight_u; };
};
}  // namespace detail

/// One step of power iteration for every spectral convolution of a model, whose weight_u and weight_v are overwritten, in `copies` too (moving
/// averages of the weights): before each step of its training.
template <class Model, Backend B, Element E, class... Copies> void iterate_power(Workspace<B>& workspace, const Model& model, Array<B, E>& weights, Copies&... copies) {
  Run<B, E> run(workspace, weights);
  const auto visit = [&](const auto& convolution) {
    const auto vectors = convolution.iterated(run);
    const auto store = [&](Array<B, E>& into) {
      Kernels<B>::convert(run.device(), vectors.first.size(), run.data(vectors.first), into.data() + convolution.weight_u.offset, false);
      Kernels<B>::convert(run.device(), vectors.second.size(), run.data(vectors.second), into.data() + convolution.weight_v.offset, false);
    };
    store(weights);
    (store(copies), ...);
  };
  detail::Walk<detail::SpectralConvolutions, decltype(visit)>{visit}("", model);
}

SFUMATO_END
