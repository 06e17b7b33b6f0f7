// Options as types: any order, each at most once, unknown ones refused by name.
#pragma once

#include <sfumato/base/rules.hpp>
#include <sfumato/tensor/param.hpp>

#include <ratio>
#include <type_traits>

SFUMATO_BEGIN

namespace option {
struct heads;
struct qk_norm;
struct rotary;
struct modulation;
struct context;
struct time_token;
struct dropout;
struct layer_scale;
struct mlp_ratio;
struct bias;
struct recompute;
struct residual;
struct linear_init;
struct bottleneck;
struct auxiliary_classifier;

/// The option of `Category` among `Options`, or `Default`.
template <class Category, class Default, class... Options> struct Find { using type = Default; };
template <class Category, class Default, class First, class... Rest>
struct Find<Category, Default, First, Rest...>
    : std::conditional_t<std::is_same_v<typename First::category, Category>, std::type_identity<First>, Find<Category, Default, Rest...>> {};
template <class Category, class Default, class... Options> using find = typename Find<Category, Default, Options...>::type;

template <class Option> struct CategoryOf { using type = void; };
template <class Option> requires requires { typename Option::category; }
struct CategoryOf<Option> { using type = typename Option::category; };

struct Off;
/// `Off` says nothing, and may stand anywhere.
template <class Option, class... Known> inline constexpr bool known = std::is_same_v<Option, Off> || (std::is_same_v<typename CategoryOf<Option>::type, Known> || ...);
template <class Category, class... Options>
inline constexpr int times_given = (0 + ... + int(std::is_same_v<typename CategoryOf<Options>::type, Category>));

/// Requires that every option belongs to `Known...`, and none but Waive is given twice.
template <class... Known> struct Among {
  template <class... Options> static constexpr bool check() {
    (require<rule::KnownOption<Options, known<Options, Known...>>>(), ...);
    (require<rule::OptionOnce<Known, std::is_same_v<Known, waive> ? 0 : times_given<Known, Options...>>>(), ...);
    return true;
  }
};

template <class Tag, class... Options> inline constexpr bool waived = (std::is_same_v<Waive<Tag>, Options> || ...);
}  // namespace option

/// Attention heads; the default is one per 64 channels.
template <int N> struct Heads {
  using category = option::heads;
  static constexpr int value = N;
};
/// RMS norm on queries and keys over the head width, with one learned weight for all heads (Henry et al. 2020).
struct QKNorm {
  using category = option::qk_norm;
  static constexpr bool value = true;
};
/// 2-D rotary embedding of a square grid of tokens: rows in the first half of a head, columns in the second.
struct Rotary {
  using category = option::rotary;
  static constexpr bool value = true;
};
/// adaLN-Zero (Peebles and Xie 2023): shift, scale and gate of both branches of each block from the condition.
struct AdaLNZero {
  using category = option::modulation;
  static constexpr bool value = true;
};
/// `Tokens` conditioning tokens that enter in front of block `Start` (0-based) and leave after the last block.
template <int Tokens, int Start> struct Context {
  using category = option::context;
  static constexpr int tokens = Tokens, start = Start;
};
/// The time embedding also enters as a token, in front of the context tokens.
struct TimeToken {
  using category = option::time_token;
  static constexpr int tokens = 1;
};
/// Dropout at `Rate` (a std::ratio) in blocks First <= i < Last, on attention's output and on the MLP's hidden vector.
template <class Rate, int First, int Last> struct Dropout : private rule::DropoutRate<long(Rate::num), long(Rate::den)> {
  using category = option::dropout;
  static constexpr double rate = static_cast<double>(Rate::num) / static_cast<double>(Rate::den);
  static constexpr int first = First, last = Last;
};
/// LayerScale (Touvron et al. 2021): each branch of a block times a learned vector that starts at `Initial`, a std::ratio.
template <class Initial = std::ratio<1, 100000>> struct LayerScale {
  using category = option::layer_scale;
  template <int Width> using Gamma = Param<Shape<Width>, init::Constant<Initial>>;
};
/// MLP hidden width = floor(width * Num / Den); the default is 8/3 for gated activations and 4 for others.
template <int Num, int Den = 1> struct MlpRatio {
  using category = option::mlp_ratio;
  static constexpr int num = Num, den = Den;
};
/// Whether linear layers have biases; they do by default.
template <bool Value> struct Bias {
  using category = option::bias;
  static constexpr bool value = Value;
};
/// Blocks keep only their inputs for the backward pass and run again in it.
struct Recompute {
  using category = option::recompute;
  static constexpr bool value = true;
};
/// The residual stream is kept in compute_t of the element, and its gradient too: in f32 where the model is bf16, so that what many
/// blocks add is not rounded at each. Without a meaning in f32 and f64.
struct WideResidual {
  using category = option::residual;
  static constexpr bool value = true;
};
/// The law of the weights of attention and MLP, with its biases; Xavier-uniform by default.
template <class Init> struct LinearInit {
  using category = option::linear_init;
  using law = Init;
};
/// The patch embedding passes through `Width` channels, without an activation between (JiT, section 4.3); 0: a plain one.
template <int Width> struct Bottleneck {
  using category = option::bottleneck;
  static constexpr int width = Width;
};
/// The first `Block` blocks see no label, and a linear classifier on the mean of their tokens is trained beside the flow
/// (JiT, table 11: 4 of B's 12 blocks, 8 of L's 24).
template <int Block> struct AuxiliaryClassifier : private rule::AuxiliaryBlockPositive<Block> {
  using category = option::auxiliary_classifier;
  static constexpr int block = Block;
};

namespace option {
/// Defaults of options that are switches.
struct Off {
  using category = void;
  static constexpr bool value = false;
  static constexpr int tokens = 0, start = 0, first = 0, last = 0, block = 0;
  static constexpr double rate = 0;
  template <int Width> using Gamma = None;
  template <class Design> static constexpr void check() {}
};
}  // namespace option

SFUMATO_END
