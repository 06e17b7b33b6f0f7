// How a trunk's tokens become predictions.
#pragma once

#include <sfumato/nn/layers.hpp>

SFUMATO_BEGIN

/// Policy: the last norm, modulated by the condition if there is one, then one linear layer that starts at zero.
struct Linear {
  template <int Width, int OutDim, class Norm, bool Modulated> struct Layer {
    /// The narrowest place between the trunk and the output.
    static constexpr int path_width = Width;
    typename Norm::template Layer<Width> norm_final;
    layer::Linear<Width, OutDim, true, init::Zero> linear;
    std::conditional_t<Modulated, layer::Modulation<Width, 2>, None> modulation;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("norm_final", self.norm_final);
      visit("linear", self.linear);
      visit("adaLN_modulation", self.modulation);
    }
    /// x: (batch, tokens, Width), condition: (batch, Width) or None; y: (batch, tokens, OutDim).
    template <class Ctx, AnyValue X, class C> constexpr auto operator()(Ctx& ctx, const X& x, const C& condition) const {
      if constexpr (Modulated)
        return linear(ctx, layer::modulated<0, 1>(ctx, norm_final, x, modulation(ctx, ops::silu(ctx, condition))));
      else return linear(ctx, norm_final(ctx, x));
    }
  };
};

/// The output part of a model by policy: `Head<Linear>`.
template <class Policy> struct Head {
  template <int Width, int OutDim, class Norm, bool Modulated> using Layer = typename Policy::template Layer<Width, OutDim, Norm, Modulated>;
};

/// A head policy has a `Layer<Width, OutDim, Norm, Modulated>`.
template <class T>
concept HeadPolicy = requires { typename T::template Layer<8, 8, RMSNorm, false>; };

SFUMATO_END
