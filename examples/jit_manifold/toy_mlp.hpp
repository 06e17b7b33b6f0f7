// The model: a ReLU MLP of five layers on [z, t] (JiT, section 3.3).
#pragma once

#include <sfumato/nn/layers.hpp>

#include <array>
#include <cmath>
#include <span>

namespace manifold {

using namespace sfumato;

/// A bias that starts at U(-1/sqrt(FanIn), 1/sqrt(FanIn)), as PyTorch's linear layers do.
template <int FanIn> struct UniformBias {
  static double value(const Random& random, Index i, Index, Index) {
    return (2 * random.uniform(static_cast<std::uint64_t>(i)) - 1) / std::sqrt(double(FanIn));
  }
};

/// y = act(x weight^T + bias), with PyTorch's initial values.
template <int In, int Out> struct Dense {
  Param<Shape<Out, In>, init::UniformFanIn> weight;
  Param<Shape<Out>, UniformBias<In>> bias;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
  template <class Ctx, AnyValue X>
  constexpr auto operator()(Ctx& ctx, const X& x, Activation act = Activation::none) const {
    return ops::linear(ctx, x, weight, bias, act);
  }
};

/// [z, t] -> Hidden -> Hidden -> Hidden -> Hidden -> z, one class. What FlowObjective asks of a model: `classes`, and for
/// the rule on output paths `path_width`, `token_dim` and `waives`.
template <int Dim, int Hidden, class... Options> struct ToyMlp {
  static_assert(option::Among<option::waive>::template check<Options...>());
  static constexpr int classes = 1, token_dim = Dim, path_width = Hidden;
  template <class RuleTag> static constexpr bool waives = option::waived<RuleTag, Options...>;

  Dense<Dim + 1, Hidden> first;
  std::array<Dense<Hidden, Hidden>, 3> hidden;
  Dense<Hidden, Dim> last;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("first", self.first);
    visit("hidden", self.hidden);
    visit("last", self.last);
  }

  /// z: (batch, Dim) at `times`; y: (batch, Dim). There is one class, so labels say nothing.
  template <class Ctx, AnyValue Z>
  auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int>) const {
    const auto t = ops::input<Shape<dynamic, 1>>(ctx, times);
    auto h = first(ctx, ops::concat<1>(ctx, z, t), Activation::relu);
    for (const auto& layer : hidden) h = layer(ctx, h, Activation::relu);
    return last(ctx, h);
  }
};

}  // namespace manifold
