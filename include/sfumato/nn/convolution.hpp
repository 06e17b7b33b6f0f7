// Layers of convolutional networks on values (batch, places, channels), places of a square grid row by row.
#pragma once

#include <sfumato/nn/layers.hpp>
#include <sfumato/ops/attention.hpp>
#include <sfumato/ops/group_norm.hpp>
#include <sfumato/ops/window.hpp>

SFUMATO_BEGIN
namespace layer {

/// ops::convolution with weight and bias, by PyTorch's default law. (batch, side^2, In) to (batch, (side / Stride)^2, Out).
template <int In, int Out, int Kernel = 3, int Stride = 1> struct Convolution {
  Param<Shape<Out, In, Kernel, Kernel>, init::UniformFanIn> weight;
  Param<Shape<Out>, init::UniformWithin<In * Kernel * Kernel>> bias;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return ops::convolution<Kernel, Stride>(ctx, x, weight, bias); }
};

/// ops::group_norm with weight and bias; epsilon 1e-6.
template <int Width, int Groups> struct GroupNorm {
  Param<Shape<Width>, init::One> weight;
  Param<Shape<Width>, init::Zero> bias;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return ops::group_norm<Groups>(ctx, x, weight, bias, 1e-6); }
};

/// x + conv(silu(norm(conv(silu(norm(x)))))), x through a convolution of one place where the widths differ. (batch, n, In) to (batch, n, Out).
template <int In, int Out, int Groups> struct ResnetBlock {
  GroupNorm<In, Groups> norm1;
  Convolution<In, Out> conv1;
  GroupNorm<Out, Groups> norm2;
  Convolution<Out, Out> conv2;
  std::conditional_t<In == Out, None, Convolution<In, Out, 1>> conv_shortcut;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("norm1", self.norm1);
    visit("conv1", self.conv1);
    visit("norm2", self.norm2);
    visit("conv2", self.conv2);
    visit("conv_shortcut", self.conv_shortcut);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    const auto inner = conv1(ctx, ops::silu(ctx, norm1(ctx, x)));
    const auto seen = conv2(ctx, ops::silu(ctx, norm2(ctx, inner)));
    if constexpr (In == Out) return ops::add(ctx, x, seen);
    else return ops::add(ctx, conv_shortcut(ctx, x), seen);
  }
};

/// x + out(attention of norm(x)'s places to each other), one head of the whole width.
template <int Width, int Groups> struct PlaceAttention {
  using Map = Linear<Width, Width, true, init::UniformFanIn>;
  GroupNorm<Width, Groups> group_norm;
  Map to_q, to_k, to_v, to_out;

  // By the names of diffusers, whose to_out is a Sequential.
  static constexpr void parameters(auto& self, auto&& visit) {
    visit("group_norm", self.group_norm);
    visit("to_q", self.to_q);
    visit("to_k", self.to_k);
    visit("to_v", self.to_v);
    visit("to_out.0", self.to_out);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    const auto seen = group_norm(ctx, x);
    return ops::add(ctx, x, to_out(ctx, ops::attention<1>(ctx, to_q(ctx, seen), to_k(ctx, seen), to_v(ctx, seen))));
  }
};

}  // namespace layer
SFUMATO_END
