// Every compile-time rule on numbers, in one place. Each is a small template whose named arguments are the figures the
// diagnostic prints; its id in brackets has an entry in docs/rules.md. Rules of your own need not stand here.
#pragma once

#include <sfumato/base/rule.hpp>

#include <ratio>
#include <type_traits>

SFUMATO_BEGIN
namespace rule {

// Tags of the rules that `Waive<...>` may name: types derived from `waivable`.
struct waivable {};
struct output_path : waivable {};
struct bottleneck_width : waivable {};

/// Stands for a template argument that must be given.
struct Missing;

/// `Holds`, by the name of what it is about: compilers print the arguments of what a static_assert finds false.
template <class Subject, bool Holds> inline constexpr bool holds = Holds;
/// Whether a letter stands once in two of the three terms of einsum, or in all.
template <char Letter, int InLeft, int InRight, int InOutput>
inline constexpr bool paired = InLeft <= 1 && InRight <= 1 && InOutput <= 1 && InLeft + InRight + InOutput >= 2;

template <class Op, class Left, class Right, int Inner, int OtherInner> struct InnerExtent {
  static_assert(Inner == OtherInner, "[inner-extent] the operands of a product disagree in their inner extent");
};
template <class Op, class Left, class Right> struct SameShape {
  static_assert(std::is_same_v<Left, Right>, "[same-shape] the operands of this operation must have the same shape");
};
template <class Op, class Context, class Operand> struct SameBackend {
  static_assert(std::is_same_v<Context, Operand>, "[mixed-backends] an operand lives on another backend than its context");
};
template <class Backend, bool HostMemory> struct HostPointer {
  static_assert(holds<Backend, HostMemory>, "[host-pointer] a bare pointer may be the host's: give this backend an Array of its own");
};
template <class Op, class Context, class Operand> struct SameElement {
  static_assert(std::is_same_v<Context, Operand>, "[mixed-elements] an operand has another element type than its context: ops::narrow a wide one");
};
template <class Op, class Context, class Operand> struct SameContext {
  static_assert(std::is_same_v<Context, Operand>, "[mixed-contexts] an operand was made in another kind of context (Run, Record, Count)");
};
template <class Op, class Operand, int Rank> struct BatchedRank {
  static_assert(Operand::batched, "[batched-rank] this operation takes a run-time batch in front");
  static_assert(Operand::rank == Rank, "[batched-rank] this operation takes another number of axes");
};
template <class Op, class Table, int Rank> struct TableRank {
  static_assert(Rank == 2, "[table-rank] a table of embeddings has two axes: (classes, width)");
};
template <class Op, int Width> struct StaticWidth {
  static_assert(Width > 0, "[static-width] this operation works along the last axis, which must be static");
};
template <bool NoQueryWeight, bool NoKeyWeight> struct QkWeights {
  static_assert(NoQueryWeight == NoKeyWeight, "[qk-weights] QK-norm has a weight for queries and one for keys, or neither");
};
template <int Width> struct PositionWidth {
  static_assert(Width % 4 == 0, "[position-width] a 2-D sine-cosine position embedding needs a width divisible by 4");
};
template <int Dim> struct EvenFrequencies {
  static_assert(Dim > 0 && Dim % 2 == 0, "[even-frequencies] a sinusoidal embedding needs an even number of channels");
};
template <long Num, long Den> struct DropoutRate {
  static_assert(0 <= Num && Num < Den, "[dropout-rate] a dropout rate must be in [0, 1)");
};
template <class Op, int Axis, int Rank> struct AxisInRank {
  static_assert(Axis >= 0 && Axis < Rank, "[axis-range] the axis is outside the operand's rank");
};
template <class Op, int Axis, int Extent> struct StaticAxis {
  static_assert(Extent > 0, "[static-axis] this operation works along a static axis, not the run-time batch");
};
template <class Op, int Begin, int End, int Extent> struct SliceRange {
  static_assert(0 <= Begin && Begin < End && End <= Extent, "[slice-range] the slice is empty or leaves its axis");
};
template <class Op, int Named, int Rank> struct PermutationRank {
  static_assert(Named == Rank, "[permutation-rank] a permutation must name as many axes as its operand has");
};
template <bool EachOnce, int... Order> struct PermutationAxes {
  static_assert(EachOnce, "[permutation-axes] a permutation must name every axis once");
};
template <class Op, int Width, int Parts> struct PackedWidth {
  static_assert(Width % Parts == 0, "[packed-width] the packed width is not divisible by the number of its parts");
};
template <int Width, int PatchValues> struct TokenDim {
  static_assert(Width == PatchValues, "[token-dim] a token must hold the values of one patch");
};
template <bool WellFormed> struct EinsumFormat {
  static_assert(WellFormed, "[einsum-format] write subscripts as \"b n d, m d -> b n m\": single letters apart by spaces");
};
template <int Operand, int Letters, int Rank> struct EinsumRank {
  static_assert(Letters == Rank, "[einsum-rank] an operand of einsum must have one letter for each of its axes");
};
template <char Letter, int InLeft, int InRight, int InOutput> struct EinsumIndex {
  static_assert(paired<Letter, InLeft, InRight, InOutput>, "[einsum-index] a letter of einsum must stand once in two of its three terms, or in all");
};
template <class Op, class LeftShape, class RightShape, char Letter, int Left, int Right> struct EinsumExtent {
  static_assert(Left == Right, "[einsum-extent] a letter of einsum names axes of two extents");
};
template <class Op, auto OldSize, auto NewSize> struct SameSize {
  static_assert(OldSize == NewSize, "[same-size] reshaping must keep the number of elements per sample");
};
template <auto Elements> struct ScalarLoss {
  static_assert(Elements == 1, "[scalar-loss] backward starts from a scalar");
};
template <int Width, int Heads> struct HeadsDivideWidth {
  static_assert(Heads > 0 && Width % Heads == 0, "[heads-divide-width] the width is not divisible by the number of heads");
};
template <int HeadDim> struct RotaryHeadDim {
  static_assert(HeadDim % 4 == 0, "[rotary-head-dim] 2-D rotary embedding needs a head width divisible by 4 (two axes, pairs)");
};
template <int ImageSize, int Patch> struct PatchDividesImage {
  static_assert(Patch > 0 && ImageSize % Patch == 0, "[patch-divides-image] the image size is not divisible by the patch size");
};
template <int Start, int Depth> struct ContextStart {
  static_assert(Start >= 0 && Start < Depth, "[context-start] context tokens must enter at a block inside the depth");
};
template <int Block> struct AuxiliaryBlockPositive {
  static_assert(0 < Block, "[auxiliary-block] the auxiliary classifier must stand behind at least one block");
};
template <bool Modulated> struct AuxiliaryTime {
  static_assert(Modulated, "[auxiliary-block] the blocks before the auxiliary classifier learn the time through AdaLNZero alone");
};
template <int Block, int Depth, int ContextStart> struct AuxiliaryBlock {
  static_assert(Block < Depth, "[auxiliary-block] the auxiliary classifier must stand between two blocks");
  static_assert(Block <= ContextStart, "[auxiliary-block] the auxiliary classifier must stand before the class tokens enter, or it reads the answer");
};
template <int Bottleneck, int TokenDim, int Width> struct BottleneckWidth {
  static_assert(Bottleneck <= TokenDim, "[bottleneck-width] the bottleneck is wider than the patch it compresses");
  static_assert(Bottleneck <= Width, "[bottleneck-width] the bottleneck is wider than the width it feeds");
};
/// Velocity and noise carry full-rank noise of the token's dimension, so every width on the way out must hold it
/// (RAE, theorem 1; JiT, section 3.3). Clean data lies on a low-dimensional manifold and is free of this rule.
template <int PathWidth, int TokenDim> struct OutputPath {
  static_assert(PathWidth >= TokenDim, "[output-path] v- and eps-prediction need an output path at least as wide as the token");
};
template <class Model, bool SeesInput> struct HeadInput {
  static_assert(!SeesInput, "[head-input] this model has no noisy tokens to give to its head: take Head<Linear>, or a DiT");
};
template <bool Modulated> struct HeadConditioned {
  static_assert(Modulated, "[head-conditioned] a DDT head is conditioned through adaLN on what the trunk says: add AdaLNZero to the trunk");
};
/// A shift below 1 would put less noise where there are fewer dimensions than the base has (RAE, section 4.2, and an assertion of its code).
template <auto Dimension, auto Base> struct ShiftDefined {
  static_assert(Base > 0 && Dimension >= Base, "[shift-defined] the schedule shift needs a sample of at least as many dimensions as its base: give a smaller one");
};
template <auto Num, auto Den> struct ShiftAtLeastOne {
  static_assert(Num >= Den, "[shift-defined] a schedule is shifted by at least 1");
};
template <class Solver, class Grid, bool Fits> struct GridSolver {
  static_assert(Fits, "[grid-solver] this solver takes steps of one size, and the grid's are not");
};
template <class Solver, class Objective, bool Same> struct SamePath {
  static_assert(Same, "[same-path] a solver that knows the path must know the one that the model was trained on");
};
/// Low and High: std::ratio.
template <class Low, class High> struct TimeRange {
  static_assert(std::ratio_less_equal_v<std::ratio<0>, Low>, "[time-range] times lie in [0, 1]");
  static_assert(std::ratio_less_v<Low, High>, "[time-range] a range of times goes from one to a later one");
  static_assert(std::ratio_less_equal_v<High, std::ratio<1>>, "[time-range] times lie in [0, 1]");
};
template <bool Without> struct TokensUnordered {
  static_assert(Without, "[rotary-order] a masked autoencoder's tokens come in a random order, so their places must be in them: leave out Rotary");
};
template <class Model, int EncoderTokens, int EncoderDim, int Tokens, int Dim> struct SameLatents {
  static_assert(Tokens == EncoderTokens, "[same-latents] encoder, diffusion model and decoder must agree on the number of tokens");
  static_assert(Dim == EncoderDim, "[same-latents] encoder, diffusion model and decoder must agree on the width of a token");
};
template <class Decoder, class Seen, class Painted> struct SameColours {
  static_assert(std::is_same_v<Seen, Painted>, "[same-colours] a decoder paints in the colours that its encoder was given");
};
template <class Guide, int GuideClasses, int Classes> struct SameClasses {
  static_assert(GuideClasses == Classes, "[same-classes] a model and its guide must know the same classes");
};
template <int Kernel, int Extent> struct KernelSize {
  static_assert(Kernel > 0 && Kernel % 2 == 1, "[kernel-size] a convolution's kernel has a middle: its size is odd");
  static_assert(Kernel <= Extent, "[kernel-size] a convolution's kernel is larger than what it goes over");
};
template <int Side, int Stride> struct StrideDivides {
  static_assert(Stride > 0, "[stride-divides] a convolution's windows move on by a place at least");
  static_assert(Side % (Stride > 0 ? Stride : 1) == 0, "[stride-divides] a convolution's stride must divide the side of its grid");
};
template <int Factor> struct PositiveFactor {
  static_assert(Factor > 0, "[positive-factor] a grid is enlarged by a whole number of times");
};
template <int Channels, int Groups> struct GroupsDivideChannels {
  static_assert(Groups > 0, "[groups-divide-channels] there must be a group at least");
  static_assert(Channels % (Groups > 0 ? Groups : 1) == 0, "[groups-divide-channels] group norm needs groups of as many channels each");
};
template <int Places, int SideSquared> struct SquarePlaces {
  static_assert(Places == SideSquared, "[square-places] this operation needs a square grid of places");
};
template <int Channels> struct ColourChannels {
  static_assert(Channels <= 4, "[colour-channels] constants by channel are for images, of four channels at most");
};
template <int First, int Last, int Depth> struct DropoutBlocks {
  static_assert(0 <= First && First <= Last && Last <= Depth, "[dropout-blocks] the range of blocks with dropout leaves the depth");
};
template <int First, int Last, int Depth> struct BlockRange {
  static_assert(Last <= Depth, "[block-range] the last block asked for lies beyond the depth");
  static_assert(0 <= First && First <= Last, "[block-range] the range of blocks is not one");
};
template <int Tokens, int GridSquared> struct SquareGrid {
  static_assert(Tokens == GridSquared, "[square-grid] 2-D rotary embedding needs a square number of patch tokens");
};
template <class Model, bool Seen> struct TimeSeen {
  static_assert(Seen, "[time-seen] without AdaLNZero the time must enter as a token: add TimeToken");
};
template <class Model, bool Seen> struct LabelSeen {
  static_assert(Seen, "[label-seen] without AdaLNZero the label must enter as tokens: add Context<Tokens, Start>");
};
template <bool Modulated, bool Given> struct ConditionGiven {
  static_assert(Modulated == Given, "[condition-given] a Transformer takes a condition if, and only if, it has AdaLNZero");
};
template <bool HasContext, bool Given> struct ContextGiven {
  static_assert(HasContext == Given, "[context-given] a Transformer takes context tokens if, and only if, it has Context or TimeToken");
};
template <class Option, bool Known> struct KnownOption {
  static_assert(holds<Option, Known>, "[unknown-option] this type is not an option here: see the list beside the template's declaration");
};
template <class Category, int Count> struct OptionOnce {
  static_assert(Count <= 1, "[duplicate-option] the same option is given twice");
};
template <class Norm, bool Is> struct IsNorm {
  static_assert(holds<Norm, Is>, "[norm-policy] this argument must be a norm, such as RMSNorm or LayerNorm");
};
template <class Act, bool Is> struct IsActivationFunction {
  static_assert(Is, "[activation-function] this must be an Activation, or a struct with static value(x) and derivative(x)");
};
template <class Act, bool Is> struct IsActivation {
  static_assert(holds<Act, Is>, "[activation-policy] this argument must be an activation policy, such as SwiGLU or GELU");
};
template <class Policy, bool Is> struct IsHead {
  static_assert(holds<Policy, Is>, "[head-policy] this argument must be a head, such as Head<Linear>; options come after it");
};

}  // namespace rule

namespace option {
struct waive;
struct rules;
}

namespace rule {
struct Waived {};
template <class Tag, bool IsTag> struct Waivable {
  static_assert(IsTag, "[waivable] only the tags of rules that allow it can be waived, such as rule::output_path");
};
}  // namespace rule

/// An option that lets a design break one rule on purpose: `Waive<rule::output_path>`.
template <class RuleTag> struct Waive : private rule::Waivable<RuleTag, std::is_base_of_v<rule::waivable, RuleTag>> {
  using category = option::waive;
};

/// An option that adds rules of your own to a design: `Require<MyRule>`, where `template <class Design> struct MyRule` derives
/// from a rule on Design's numbers. Asked where the design is first called.
template <template <class> class... Rules> struct Require {
  using category = option::rules;
  template <class Design> static constexpr void check() { sfumato::require<Rules<Design>...>(); }
};

/// `Rule`, or the empty `rule::Waived` where `Design` waives it by `Tag`; to derive from.
template <class Design, class Tag, class Rule>
using unless_waived = std::conditional_t<Design::template waives<Tag>, rule::Waived, Rule>;

SFUMATO_END
