// The layers that blocks are made of: linear maps, norms and MLPs. Each is its parameters and one function.
#pragma once

#include <sfumato/nn/options.hpp>
#include <sfumato/ops/activation.hpp>
#include <sfumato/ops/elementwise.hpp>
#include <sfumato/ops/embedding.hpp>
#include <sfumato/ops/linear.hpp>
#include <sfumato/ops/movement.hpp>
#include <sfumato/ops/norm.hpp>

SFUMATO_BEGIN

namespace layer {

/// y = x weight^T + bias. `Init` is the law of the weight; biases start at zero.
template <int In, int Out, bool WithBias = true, class Init = init::XavierUniform, class WeightShape = Shape<Out, In>>
struct Linear {
  Param<WeightShape, Init> weight;
  std::conditional_t<WithBias, Param<Shape<Out>, init::Zero>, None> bias;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x, Activation act = Activation::none) const {
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

}  // namespace layer

/// Root mean square norm (Zhang and Sennrich 2019): a learned weight, no bias, epsilon 1e-6.
struct RMSNorm {
  template <int Width> struct Layer {
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

/// Layer norm (Ba et al. 2016), epsilon 1e-6; with `Affine`, a learned weight and bias.
template <bool Affine> struct LayerNormPolicy {
  template <int Width> struct Layer {
    std::conditional_t<Affine, Param<Shape<Width>, init::One>, None> weight;
    std::conditional_t<Affine, Param<Shape<Width>, init::Zero>, None> bias;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("weight", self.weight);
      visit("bias", self.bias);
    }
    template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
      return ops::norm<NormKind::layer>(ctx, x, weight, bias, 1e-6);
    }
    template <int Shift, int Scale, class Ctx, AnyValue X, AnyValue M>
    constexpr auto modulated(Ctx& ctx, const X& x, const M& modulation) const {
      return ops::modulated_norm<NormKind::layer, Shift, Scale>(ctx, x, weight, bias, modulation, 1e-6);
    }
  };
};
using LayerNorm = LayerNormPolicy<true>;
using LayerNormNoAffine = LayerNormPolicy<false>;

/// w3(silu(gate) * value), [gate | value] = w12(x) (Shazeer 2020).
struct SwiGLU {
  using default_ratio = MlpRatio<8, 3>;
  template <int Width, int Hidden, bool WithBias> struct Mlp {
    layer::Linear<Width, 2 * Hidden, WithBias> w12;
    layer::Linear<Hidden, Width, WithBias> w3;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("w12", self.w12);
      visit("w3", self.w3);
    }
    template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x, double dropout, std::uint64_t site) const {
      return w3(ctx, ops::dropout(ctx, ops::swiglu(ctx, w12(ctx, x)), dropout, site));
    }
  };
};

/// fc2(act(fc1(x))).
template <Activation Act> struct PlainMlp {
  using default_ratio = MlpRatio<4>;
  template <int Width, int Hidden, bool WithBias> struct Mlp {
    layer::Linear<Width, Hidden, WithBias> fc1;
    layer::Linear<Hidden, Width, WithBias> fc2;

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

/// A norm policy has a `Layer<Width>`; an activation policy an `Mlp<Width, Hidden, WithBias>` and a default ratio.
template <class T>
concept NormPolicy = requires { typename T::template Layer<8>; };
template <class T>
concept ActPolicy = requires { typename T::template Mlp<8, 8, true>; typename T::default_ratio; };

SFUMATO_END
