// How a trunk's tokens become predictions.
#pragma once

#include <sfumato/nn/embeddings.hpp>
#include <sfumato/nn/transformer.hpp>

SFUMATO_BEGIN

/// Policy: the last norm, modulated by the condition if there is one, then one linear layer that starts at zero.
struct Linear {
  template <class Trunk, int OutDim> struct Layer {
    /// The narrowest place between the trunk and the output.
    static constexpr int path_width = Trunk::width;
    static constexpr bool modulated = Trunk::modulated, sees_input = false;
    typename Trunk::norm::template Layer<Trunk::width> norm_final;
    layer::Linear<Trunk::width, OutDim, true, init::Zero> linear;
    std::conditional_t<modulated, layer::Modulation<Trunk::width, 2>, None> modulation;

    static constexpr void parameters(auto& self, auto&& visit) {
      visit("norm_final", self.norm_final);
      visit("linear", self.linear);
      visit("adaLN_modulation", self.modulation);
    }
    /// x: (batch, tokens, width), condition: (batch, width), (batch, tokens, width) or None; y: (batch, tokens, OutDim).
    template <class Ctx, AnyValue X, class C> constexpr auto operator()(Ctx& ctx, const X& x, const C& condition) const {
      if constexpr (modulated) return activated(ctx, x, ops::silu(ctx, condition));
      else return linear(ctx, norm_final(ctx, x));
    }
    /// The same, of the condition's silu.
    template <class Ctx, AnyValue X, AnyValue C> constexpr auto activated(Ctx& ctx, const X& x, const C& condition) const {
      return linear(ctx, layer::modulated<0, 1>(ctx, norm_final, x, modulation(ctx, condition)));
    }
  };
};

/// Policy: `Depth` wide blocks that see the noisy tokens themselves, and are told by the trunk, token by token, what to make of them: a
/// decoupled diffusion Transformer (Wang et al. 2025) whose head may be wider than its trunk (RAE, section 5). What a narrow trunk
/// cannot carry need not pass through it. Its blocks are as the trunk's, but for dropout and the `Options` given here; one attention
/// head for 128 channels unless said, as the published 2048 has.
template <int Width, int Depth, int NumHeads = (Width >= 128 ? Width / 128 : 1), class... Options> struct DDT {
  template <class Trunk, int TokenDim> struct Layer : private rule::HeadConditioned<Trunk::modulated> {
    static constexpr int width = Width, path_width = Width;
    static constexpr bool sees_input = true;
    using Init = typename Trunk::Init;
    using Blocks = typename Trunk::template Like<Width, Depth, Heads<NumHeads>, Options...>;

    layer::TokenEmbedding<TokenDim, Width> x_embedder;
    /// The trunk's tokens to the head's width; None where they have it.
    std::conditional_t<Trunk::width == Width, None, layer::Linear<Trunk::width, Width, true, Init>> projector;
    Blocks trunk;
    typename Linear::Layer<Blocks, TokenDim> final_layer;

    /// tokens: the noisy ones, (batch, tokens, TokenDim); seen: what the trunk made of them, (batch, tokens, Trunk::width); time:
    /// (batch, Trunk::width). y: (batch, tokens, TokenDim).
    template <class Ctx, AnyValue X, AnyValue S, AnyValue T> constexpr auto operator()(Ctx& ctx, const X& tokens, const S& seen, const T& time) const {
      constexpr int count = extent<typename S::shape, axis::tokens>;
      const auto told = ops::silu(ctx, ops::add(ctx, seen, ops::broadcast<axis::tokens, count>(ctx, time)));
      const auto condition = [&] {
        if constexpr (is_none<decltype(projector)>) return trunk.activate(ctx, told);
        else return trunk.activate(ctx, projector(ctx, told));
      }();
      const auto painted = trunk.template blocks_between<0, Depth>(ctx, x_embedder(ctx, tokens), condition);
      return final_layer.activated(ctx, trunk.drop_context(ctx, painted), condition);
    }
  };
};

/// The output part of a model by policy: `Head<Linear>`, `Head<DDT<2048, 2>>`.
template <class Policy> struct Head {
  template <class Trunk, int OutDim> using Layer = typename Policy::template Layer<Trunk, OutDim>;
};

/// A head policy has a `Layer<Trunk, OutDim>`, which says its `path_width` and whether it `sees_input`: then it is called (ctx, noisy
/// tokens, trunk's tokens, time), else (ctx, trunk's tokens, condition).
template <class T>
concept HeadPolicy = requires {
  { T::template Layer<Transformer<8, 1, RMSNorm, SwiGLU, AdaLNZero>, 8>::path_width } -> std::convertible_to<int>;
  { T::template Layer<Transformer<8, 1, RMSNorm, SwiGLU, AdaLNZero>, 8>::sees_input } -> std::convertible_to<bool>;
};

SFUMATO_END
