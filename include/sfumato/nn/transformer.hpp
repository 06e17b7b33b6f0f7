// The plain Transformer that every model of the library is built on.
#pragma once

#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/nn/embeddings.hpp>
#include <sfumato/ops/attention.hpp>

#include <array>
#include <tuple>

SFUMATO_BEGIN

/// Multi-head self-attention: qkv projection, optional QK-norm and rotary embedding, output projection.
template <int Width, int NumHeads, bool WithQKNorm, bool WithRotary, bool WithBias, class Init = init::XavierUniform> struct SelfAttention
    : private rule::HeadsDivideWidth<Width, NumHeads> {
  static constexpr int head_dim = Width / NumHeads;
  using QkWeight = std::conditional_t<WithQKNorm, Param<Shape<head_dim>, init::One>, None>;
  QkWeight q_norm, k_norm;
  layer::Linear<Width, 3 * Width, WithBias, Init> qkv;
  layer::Linear<Width, Width, WithBias, Init> proj;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("q_norm.weight", self.q_norm);
    visit("k_norm.weight", self.k_norm);
    visit("qkv", self.qkv);
    visit("proj", self.proj);
  }

  /// x: (batch, Prefix + grid^2, Width); the first `Prefix` tokens are not rotated.
  template <int Prefix, class Ctx, AnyValue X>
  constexpr auto operator()(Ctx& ctx, const X& x, std::integral_constant<int, Prefix>) const {
    constexpr int patches = extent<typename X::shape, axis::tokens> - Prefix;
    constexpr int grid = ops::square_side<patches>;
    if constexpr (WithRotary) {
      require<rule::RotaryHeadDim<head_dim>, rule::SquareGrid<patches, grid * grid>>();
      return proj(ctx, ops::self_attention<NumHeads, layer::RotaryTable<grid, head_dim, Prefix>>(ctx, qkv(ctx, x), q_norm, k_norm, 1e-6));
    } else {
      return proj(ctx, ops::self_attention<NumHeads>(ctx, qkv(ctx, x), q_norm, k_norm, 1e-6));
    }
  }
};

/// One pre-norm block. With adaLN-Zero: x += gate1 attn(modulate(norm1 x)); x += gate2 mlp(modulate(norm2 x)), the six
/// vectors in the order shift1, scale1, gate1, shift2, scale2, gate2 (JiT, DiT).
template <int Width, class Norm, class MlpType, class Attention, bool Modulated, class Gamma = None> struct Block {
  typename Norm::template Layer<Width> norm1;
  Attention attn;
  layer::Scale<Gamma> ls1;
  typename Norm::template Layer<Width> norm2;
  MlpType mlp;
  layer::Scale<Gamma> ls2;
  std::conditional_t<Modulated, layer::Modulation<Width, 6>, None> modulation;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("norm1", self.norm1);
    visit("attn", self.attn);
    visit("ls1", self.ls1);
    visit("norm2", self.norm2);
    visit("mlp", self.mlp);
    visit("ls2", self.ls2);
    visit("adaLN_modulation", self.modulation);
  }

  /// x: (batch, tokens, Width), wide or not, and so the result; condition: silu of the condition, (batch, Width) or
  /// (batch, tokens, Width), or None. `site` numbers the dropout places.
  template <class Ctx, AnyValue X, class C, class Prefix>
  constexpr X operator()(Ctx& ctx, const X& x, const C& condition, Prefix prefix, double dropout, std::uint64_t site) const {
    const auto attend = [&](const auto& h) { return ls1(ctx, ops::dropout(ctx, attn(ctx, h, prefix), dropout, 2 * site)); };
    const auto feed = [&](const auto& h) { return ls2(ctx, mlp(ctx, h, dropout, 2 * site + 1)); };
    if constexpr (Modulated) {
      const auto m = modulation(ctx, condition);
      const auto mid = ops::gated_residual<2>(ctx, x, attend(layer::modulated<0, 1>(ctx, norm1, x, m)), m);
      return ops::gated_residual<5>(ctx, mid, feed(layer::modulated<3, 4>(ctx, norm2, mid, m)), m);
    } else {
      const auto mid = ops::gated_residual<0>(ctx, x, attend(layer::normed(ctx, norm1, x)), None{});
      return ops::gated_residual<0>(ctx, mid, feed(layer::normed(ctx, norm2, mid)), None{});
    }
  }
};

/// `Depth` blocks of width `Width`, with `Norm` (RMSNorm, LayerNorm) and `Act` (SwiGLU, GELU).
///
/// Options, in any order: Heads<N>, QKNorm, Rotary, AdaLNZero, Context<Tokens, Start>, TimeToken, Dropout<Rate, First, Last>,
/// LayerScale<Initial>, MlpRatio<Num, Den>, Bias<bool>, Recompute, WideResidual, LinearInit<Law>, Require<Rule>, Waive<rule>.
template <int Width, int Depth, class Norm = rule::Missing, class Act = rule::Missing, class... Options> struct Transformer
    : private rule::IsNorm<Norm, NormPolicy<Norm>>, private rule::IsActivation<Act, ActPolicy<Act>> {
  static_assert(option::Among<option::heads, option::qk_norm, option::rotary, option::modulation, option::context, option::time_token,
                              option::dropout, option::layer_scale, option::mlp_ratio, option::bias, option::recompute, option::residual, option::linear_init, option::waive, option::rules>::template check<Options...>());

  template <class RuleTag> static constexpr bool waives = option::waived<RuleTag, Options...>;
  using norm = Norm;
  /// This one's option of a category, unless it is given anew.
  template <class Category, class... More>
  using inherited = std::conditional_t<(option::times_given<Category, More...> > 0), option::Off, option::find<Category, option::Off, Options...>>;
  /// A Transformer of other extents, with this one's norm, activation, and all options that are not of its width, depth or tokens, but
  /// for those given anew, rules and waivers. (Dropout's blocks are counted by depth.)
  template <int OtherWidth, int OtherDepth, class... More>
  using Like = Transformer<OtherWidth, OtherDepth, Norm, Act, inherited<option::qk_norm, More...>, inherited<option::rotary, More...>, inherited<option::modulation, More...>,
                           inherited<option::layer_scale, More...>, inherited<option::mlp_ratio, More...>, inherited<option::bias, More...>,
                           inherited<option::recompute, More...>, inherited<option::residual, More...>, inherited<option::linear_init, More...>, More...>;
  static constexpr int width = Width, depth = Depth;
  static constexpr int heads = option::find<option::heads, Heads<(Width >= 64 ? Width / 64 : 1)>, Options...>::value;
  static constexpr int head_dim = Width / (heads > 0 ? heads : 1);
  static constexpr bool modulated = option::find<option::modulation, option::Off, Options...>::value;
  static constexpr bool rotary = option::find<option::rotary, option::Off, Options...>::value;
  using ContextOption = option::find<option::context, option::Off, Options...>;
  static constexpr int class_tokens = ContextOption::tokens;
  static constexpr bool time_token = option::find<option::time_token, option::Off, Options...>::tokens > 0;
  /// Tokens that join at block `context_start`: the time token, then the class tokens.
  static constexpr int context_tokens = class_tokens + (time_token ? 1 : 0);
  static constexpr int context_start = ContextOption::start;
  using Drop = option::find<option::dropout, option::Off, Options...>;
  using Ratio = option::find<option::mlp_ratio, typename Act::default_ratio, Options...>;
  static constexpr int hidden = Width * Ratio::num / Ratio::den;
  static constexpr bool biased = option::find<option::bias, Bias<true>, Options...>::value;
  static constexpr bool recomputes = option::find<option::recompute, option::Off, Options...>::value;
  static constexpr bool wide_residual = option::find<option::residual, option::Off, Options...>::value;

  using Init = typename option::find<option::linear_init, LinearInit<init::XavierUniform>, Options...>::law;
  using Attention = SelfAttention<Width, heads, option::find<option::qk_norm, option::Off, Options...>::value, rotary, biased, Init>;
  using Gamma = typename option::find<option::layer_scale, option::Off, Options...>::template Gamma<Width>;
  using BlockType = Block<Width, Norm, typename layer::MlpOf<Act, Width, hidden, biased, Init>::type, Attention, modulated, Gamma>;
  std::array<BlockType, std::size_t(Depth)> blocks;

  static constexpr void parameters(auto& self, auto&& visit) { visit("blocks", self.blocks); }

  /// x: (batch, tokens, Width). condition: (batch, Width), (batch, tokens, Width) or None. context: (batch, context_tokens, Width) or None; it enters at
  /// block context_start and is dropped at the end. Returns (batch, tokens, Width).
  template <class Ctx, AnyValue X, class C = None, class Extra = None>
  constexpr auto operator()(Ctx& ctx, const X& x, const C& condition = {}, const Extra& context = {}) const {
    require<rule::ConditionGiven<modulated, !is_none<C>>, rule::ContextGiven<(context_tokens > 0), !is_none<Extra>>>();
    return drop_context(ctx, blocks_between<0, Depth>(ctx, x, activate(ctx, condition), context));
  }

  // In parts, for models that look in between: `blocks_between<0, K>`, then `blocks_between<K, depth>`, then `drop_context`.

  /// silu of the condition, which is the same for every block; None of None.
  template <class Ctx, class C> constexpr auto activate(Ctx& ctx, const C& condition) const {
    if constexpr (modulated) return ops::silu(ctx, condition);
    else return None{};
  }
  /// Blocks First <= i < Last. The context joins in front where its block is among them; from then on it is part of x. With
  /// WideResidual the result is wide: `ops::narrow` it for ops that take no such values.
  template <int First, int Last, class Ctx, AnyValue X, class C, class Extra = None>
  constexpr auto blocks_between(Ctx& ctx, const X& x, const C& activated, const Extra& context = {}) const {
    require<rule::BlockRange<First, Last, Depth>, rule::ContextStart<context_start, Depth>, rule::DropoutBlocks<Drop::first, Drop::last, Depth>>();
    option::find<option::rules, option::Off, Options...>::template check<Transformer>();
    if constexpr (context_tokens == 0 || Last <= context_start) {
      return run<0, First, Last>(ctx, stream(ctx, x), activated);
    } else if constexpr (First > context_start) {
      return run<context_tokens, First, Last>(ctx, stream(ctx, x), activated);
    } else {
      const auto joined = ops::concat<axis::tokens>(ctx, stream(ctx, context), run<0, First, context_start>(ctx, stream(ctx, x), activated));
      return run<context_tokens, context_start, Last>(ctx, joined, activated);
    }
  }
  /// What each of the blocks `After`, ascending, leaves behind, no longer wide: a tuple of (batch, tokens, Width).
  template <int... After, class Ctx, AnyValue X, class C = None> constexpr auto taps(Ctx& ctx, const X& x, const C& condition = {}) const {
    require<rule::ConditionGiven<modulated, !is_none<C>>, rule::ContextGiven<(context_tokens > 0), false>>();
    return tapped<0, After...>(ctx, x, activate(ctx, condition));
  }
  /// Without the context tokens, which blocks up to the last have seen, and no longer wide.
  template <class Ctx, AnyValue X> constexpr auto drop_context(Ctx& ctx, const X& x) const {
    if constexpr (context_tokens == 0) return ops::narrow(ctx, x);
    else return ops::slice<axis::tokens, context_tokens, extent<typename X::shape, axis::tokens>>(ctx, ops::narrow(ctx, x));
  }

 private:
  template <int First, int After, int... Rest, class Ctx, AnyValue X, class C> constexpr auto tapped(Ctx& ctx, const X& x, const C& activated) const {
    const auto here = blocks_between<First, After + 1>(ctx, x, activated);
    auto one = std::make_tuple(ops::narrow(ctx, here));
    if constexpr (sizeof...(Rest) == 0) return one;
    else return std::tuple_cat(std::move(one), tapped<After + 1, Rest...>(ctx, here, activated));
  }
  template <class Ctx, AnyValue X> static constexpr auto stream(Ctx& ctx, const X& x) {
    if constexpr (wide_residual) return ops::widen(ctx, x);
    else return ops::narrow(ctx, x);
  }
  template <int Prefix, int First, int Last, class Ctx, AnyValue X, class C>
  constexpr X run(Ctx& ctx, X x, const C& condition) const {
    const std::integral_constant<int, Prefix> prefix;
    for (int i = First; i < Last; ++i) {
      const auto& block = blocks[std::size_t(i)];
      const double rate = i >= Drop::first && i < Drop::last ? Drop::rate : 0;
      const auto site = static_cast<std::uint64_t>(i);
      if constexpr (!recomputes) {
        x = block(ctx, x, condition, prefix, rate, site);
      } else if constexpr (is_none<C>) {
        x = ops::recompute(ctx, [block, prefix, rate, site](Ctx& c, const X& h) { return block(c, h, None{}, prefix, rate, site); }, x);
      } else {
        x = ops::recompute(ctx, [block, prefix, rate, site](Ctx& c, const X& h, const C& a) { return block(c, h, a, prefix, rate, site); }, x, condition);
      }
    }
    return x;
  }
};

SFUMATO_END
