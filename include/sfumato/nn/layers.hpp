// The layers that blocks are made of: linear maps, norms and MLPs. Each is its parameters and one function.
#pragma once

#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/options.hpp>
#include <sfumato/ops/activation.hpp>
#include <sfumato/ops/elementwise.hpp>
#include <sfumato/ops/embedding.hpp>
#include <sfumato/ops/linear.hpp>
#include <sfumato/ops/movement.hpp>
#include <sfumato/ops/norm.hpp>

#include <cmath>

SFUMATO_BEGIN

namespace layer {

/// y = x weight^T + bias. `Init` is the law of the weight; biases start at zero, or as `Init` says.
template <int In, int Out, bool WithBias = true, class Init = init::XavierUniform, class WeightShape = Shape<Out, In>>
struct Linear {
  Param<WeightShape, Init> weight;
  std::conditional_t<WithBias, Param<Shape<Out>, typename init::BiasOf<Init, In>::type>, None> bias;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return ops::linear(ctx, x, weight, bias); }
  /// act(y); `act` as in ops::activation.
  template <class Ctx, AnyValue X, class Act> constexpr auto operator()(Ctx& ctx, const X& x, Act act) const {
    return ops::linear(ctx, x, weight, bias, act);
  }
};

/// silu(condition) through a linear layer that starts at zero: `Chunks` vectors of `Width` for shift, scale and gate.
template <int Width, int Chunks> struct Modulation {
  Linear<Width, Chunks * Width, true, init::Zero> linear;

  // The index is that of the linear layer in the published Sequential(SiLU, Linear).
  static constexpr void parameters(auto& self, auto&& visit) { visit("1", self.linear); }
  template <class Ctx, AnyValue C> constexpr auto operator()(Ctx& ctx, const C& activated) const { return linear(ctx, activated); }
};

/// x * gamma, LayerScale's learned vector; x where there is None.
template <class Gamma> struct Scale {
  Gamma gamma;

  static constexpr void parameters(auto& self, auto&& visit) { visit("gamma", self.gamma); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    if constexpr (is_none<Gamma>) return x;
    else return ops::multiply_parameter(ctx, x, gamma);
  }
};

/// Features scaled to a root mean square of 1 over their channels: sqrt(width) times a vector of length 1; where all are 0, 0.
template <class Ctx, AnyValue X> constexpr auto unit_features(Ctx& ctx, const X& x) { return ops::norm<NormKind::rms>(ctx, x, None{}, None{}, 1e-20); }

/// x as a norm takes it: wide where the norm's layer says `static constexpr bool takes_wide = true`, else rounded.
template <class Norm, class Ctx, AnyValue X> constexpr auto seen_by(Ctx& ctx, const X& x) {
  if constexpr (requires { requires Norm::takes_wide; }) return x;
  else return ops::narrow(ctx, x);
}
/// norm(x), which is not wide.
template <class Ctx, class Norm, AnyValue X> constexpr auto normed(Ctx& ctx, const Norm& norm, const X& x) { return ops::narrow(ctx, norm(ctx, seen_by<Norm>(ctx, x))); }

/// norm(x) * (1 + scale) + shift, by chunks of the modulation (DiT's `modulate`): by the norm's own `modulated<Shift, Scale>(ctx,
/// x, modulation)` where it has one, else put together here. x: (batch, tokens, width); modulation: (batch, chunks * width), or
/// (batch, tokens, chunks * width).
template <int Shift, int Scale, class Ctx, class Norm, AnyValue X, AnyValue M>
constexpr auto modulated(Ctx& ctx, const Norm& norm, const X& x, const M& modulation) {
  if constexpr (requires { norm.template modulated<Shift, Scale>(ctx, x, modulation); }) {
    return ops::narrow(ctx, norm.template modulated<Shift, Scale>(ctx, seen_by<Norm>(ctx, x), modulation));
  } else {
    constexpr int width = width_of<typename X::shape>, tokens = extent<typename X::shape, axis::tokens>;
    const auto y = normed(ctx, norm, x);
    const auto shift = ops::slice<M::shape::rank - 1, Shift * width, (Shift + 1) * width>(ctx, modulation);
    const auto scaled = ops::gated_residual<Scale>(ctx, y, y, modulation);
    if constexpr (M::shape::rank == 3) return ops::add(ctx, scaled, shift);
    else return ops::add(ctx, scaled, ops::broadcast<axis::tokens, tokens>(ctx, shift));
  }
}

}  // namespace layer

/// Root mean square norm (Zhang and Sennrich 2019): a learned weight, no bias, epsilon 1e-6.
struct RMSNorm {
  template <int Width> struct Layer {
    static constexpr bool takes_wide = true;
    Param<Shape<Width>, init::One> weight;

    static constexpr void parameters(auto& self, auto&& visit) { visit("weight", self.weight); }
    template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
      return ops::norm<NormKind::rms>(ctx, x, weight, None{}, 1e-6);
    }
    /// norm(x) * (1 + scale) + shift, by chunks of the modulation.
    template <int Shift, int Scale, class Ctx, AnyValue X, AnyValue M>
    constexpr auto modulated(Ctx& ctx, const X& x, const M& modulation) const {
      return ops::modulated_norm<NormKind::rms, Shift, Scale>(ctx, x, weight, None{}, modulation, 1e-6);
    }
  };
};

/// Layer norm (Ba et al. 2016); with `Affine`, a learned weight and bias. `Epsilon`, a std::ratio, is added to the variance.
template <bool Affine, class Epsilon = std::ratio<1, 1'000'000>> struct LayerNormPolicy {
  template <int Width> struct Layer {
    static constexpr bool takes_wide = true;
    static constexpr double epsilon = double(Epsilon::num) / double(Epsilon::den);
    std::conditional_t<Affine, Param<Shape<Width>, init::One>, None> weight;
    std::conditional_t<Affine, Param<Shape<Width>, init::Zero>, None> bias;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("weight", self.weight);
      visit("bias", self.bias);
    }
    template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
      return ops::norm<NormKind::layer>(ctx, x, weight, bias, epsilon);
    }
    template <int Shift, int Scale, class Ctx, AnyValue X, AnyValue M>
    constexpr auto modulated(Ctx& ctx, const X& x, const M& modulation) const {
      return ops::modulated_norm<NormKind::layer, Shift, Scale>(ctx, x, weight, bias, modulation, epsilon);
    }
  };
};
using LayerNorm = LayerNormPolicy<true>;
using LayerNormNoAffine = LayerNormPolicy<false>;

/// Dynamic Tanh, which stands in for a norm (Zhu et al. 2025, "Transformers without Normalization"): weight * tanh(alpha x) + bias,
/// with one learned alpha, 0.5 at first.
struct DyT {
  template <int Width> struct Layer {
    Param<Shape<1>, init::Constant<std::ratio<1, 2>>> alpha;
    Param<Shape<Width>, init::One> weight;
    Param<Shape<Width>, init::Zero> bias;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("alpha", self.alpha);
      visit("weight", self.weight);
      visit("bias", self.bias);
    }
    template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
      const auto squashed = ops::activation(ctx, ops::multiply_parameter(ctx, x, alpha), Tanh{});
      return ops::add_parameter(ctx, ops::multiply_parameter(ctx, squashed, weight), bias);
    }
  };
  struct Tanh {
    template <class T> static SFUMATO_HD T value(T x) { return std::tanh(x); }
    template <class T> static SFUMATO_HD T derivative(T x) { const T y = std::tanh(x); return 1 - y * y; }
  };
};

/// w3(silu(gate) * value), [gate | value] = w12(x) (Shazeer 2020).
struct SwiGLU {
  using default_ratio = MlpRatio<8, 3>;
  template <int Width, int Hidden, bool WithBias, class Init = init::XavierUniform> struct Mlp {
    layer::Linear<Width, 2 * Hidden, WithBias, Init> w12;
    layer::Linear<Hidden, Width, WithBias, Init> w3;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("w12", self.w12);
      visit("w3", self.w3);
    }
    template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x, double dropout, std::uint64_t site) const {
      return w3(ctx, ops::dropout(ctx, ops::swiglu(ctx, w12(ctx, x)), dropout, site));
    }
  };
};

/// fc2(act(fc1(x))); `Act` as in ops::activation: `PlainMlp<Activation::relu>`, or `PlainMlp<Mine{}>` with a struct of your own.
template <auto Act> struct PlainMlp {
  using default_ratio = MlpRatio<4>;
  template <int Width, int Hidden, bool WithBias, class Init = init::XavierUniform> struct Mlp {
    layer::Linear<Width, Hidden, WithBias, Init> fc1;
    layer::Linear<Hidden, Width, WithBias, Init> fc2;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("fc1", self.fc1);
      visit("fc2", self.fc2);
    }
    template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x, double dropout, std::uint64_t site) const {
      return fc2(ctx, ops::dropout(ctx, fc1(ctx, x, Act), dropout, site));
    }
  };
};
using GELU = PlainMlp<Activation::gelu_erf>;
using GELUTanh = PlainMlp<Activation::gelu_tanh>;
using ReLU = PlainMlp<Activation::relu>;

/// A norm: a struct with a `Layer<Width>`, which takes and returns values of that width. It may also have
/// `modulated<Shift, Scale>(ctx, x, modulation)`, if it can do that in one pass, and take wide values (`layer::normed`).
template <class T>
concept NormPolicy = requires(const typename T::template Layer<8>& layer, Count& count, const Value<Count, Shape<dynamic, 2, 8>>& x) {
  { layer(count, x) } -> std::same_as<Value<Count, Shape<dynamic, 2, 8>>>;
};
namespace layer {
/// The MLP of a policy; one whose `Mlp` has no fourth parameter, the law of its weights, keeps its own whatever LinearInit says.
template <class Act, int Width, int Hidden, bool WithBias, class Init> struct MlpOf { using type = typename Act::template Mlp<Width, Hidden, WithBias>; };
template <class Act, int Width, int Hidden, bool WithBias, class Init> requires requires { typename Act::template Mlp<Width, Hidden, WithBias, Init>; }
struct MlpOf<Act, Width, Hidden, WithBias, Init> { using type = typename Act::template Mlp<Width, Hidden, WithBias, Init>; };
}  // namespace layer

/// An activation: a struct with an MLP of that activation, which takes the rate and the site of its dropout too, and the ratio
/// of hidden to outer width by default.
template <class T>
concept ActPolicy = requires(const typename T::template Mlp<8, 16, true>& mlp, Count& count, const Value<Count, Shape<dynamic, 2, 8>>& x) {
  { mlp(count, x, 0.0, std::uint64_t{}) } -> std::same_as<Value<Count, Shape<dynamic, 2, 8>>>;
  typename T::default_ratio;
};

SFUMATO_END
