// The list of ops: one struct per use of an op. From it the tests generate gradient checks, comparisons between backends,
// between contexts, and cost checks; contexts.cpp fails when an op's front door is in none of them.
//
// A case has the input shapes, the parameters (a layer will do), and `build(ctx, params, x...)`; `ops` names the front doors it
// stands for. What an op keeps should be a multiple of 16 elements: memory comes in steps of 64 bytes, and costs are compared.
#pragma once

#include <sfumato/nn/embeddings.hpp>
#include <sfumato/ops/attention.hpp>
#include <sfumato/ops/einsum.hpp>
#include <sfumato/ops/gather.hpp>
#include <sfumato/ops/group_norm.hpp>
#include <sfumato/ops/loss.hpp>
#include <sfumato/ops/recompute.hpp>
#include <sfumato/ops/window.hpp>

#include <array>
#include <string_view>
#include <tuple>

namespace ops_test {

using namespace sfumato;

template <class... S> struct Inputs {};

struct NoParameters {
  static constexpr void parameters(auto&, auto&&) {}
};

/// Defaults that a case may hide.
struct Case {
  static constexpr std::string_view ops = "";  ///< the library's front doors that it stands for
  using Parameters = NoParameters;
  static constexpr Index batch = 2;
  static constexpr bool counts = true;       ///< runs in Count
  static constexpr bool draws = false;       ///< training differs from inference by design
  static constexpr bool rounds_twice = false;  ///< training rounds an intermediate that inference keeps wide: bf16 differs
  static constexpr double margin = 0;        ///< inputs stay this far from zero: a kink
  static constexpr bool distinct = false;    ///< no two elements of an input are equal, nor near each other: a maximum has a kink there
  static constexpr Index macs = 0;           ///< of the whole batch
  static constexpr Index numbers_kept = 0;   ///< bytes of what is no element and not counted: where tokens go, for example
};

// Elementwise and gated non-linearities ---------------------------------------------------------------------------------

template <auto Act, int Percent = 1> struct Activate : Case {
  static constexpr std::string_view ops = "activation";
  static constexpr double margin = Percent * 0.01;  // some have a kink, or a pole
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::activation(ctx, x, Act); }
};
struct Quantise : Case {  // to 8 bits; with what has a gradient added
  static constexpr std::string_view ops = "activation";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::add(ctx, x, ops::activation(ctx, x, ops::EightBits{})); }
};
struct Relu : Case {
  static constexpr std::string_view ops = "relu";
  static constexpr double margin = 0.01;
  using Values = Inputs<Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::relu(ctx, x); }
};
struct Silu : Case {
  static constexpr std::string_view ops = "silu";
  using Values = Inputs<Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::silu(ctx, x); }
};
struct Gelu : Case {
  static constexpr std::string_view ops = "gelu";
  using Values = Inputs<Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::gelu(ctx, x); }
};
struct SwiGlu : Case {
  static constexpr std::string_view ops = "swiglu";
  using Values = Inputs<Shape<dynamic, 4, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::swiglu(ctx, x); }
};
struct Softmax : Case {
  static constexpr std::string_view ops = "softmax";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::softmax(ctx, x); }
};

// Products --------------------------------------------------------------------------------------------------------------

// Of the activations, the backends' own are fused in inference.
constexpr bool fuses(Activation act) { return act != Activation::none; }
template <ops::Pointwise F> constexpr bool fuses(F) { return false; }

template <class W, bool WithBias> struct WeightAndBias {  // W: (out, ...)
  Param<W> weight;
  std::conditional_t<WithBias, Param<Shape<extent<W, 0>>>, None> bias;
  static constexpr void parameters(auto& self, auto&& visit) { visit("weight", self.weight), visit("bias", self.bias); }
};
template <bool WithBias, auto Act> struct LinearMap : Case {
  static constexpr std::string_view ops = "linear";
  static constexpr bool rounds_twice = fuses(Act);
  static constexpr Index macs = 2 * 4 * 16 * 12;
  using Parameters = WeightAndBias<Shape<12, 16>, WithBias>;
  using Values = Inputs<Shape<dynamic, 4, 16>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::linear(ctx, x, p.weight, p.bias, Act); }
};
struct LinearOfConvolution : Case {  // the weight of a patch embedding, flattened
  static constexpr std::string_view ops = "linear";
  static constexpr Index macs = 2 * 4 * 12 * 8;
  struct Parameters {
    Param<Shape<8, 3, 2, 2>> weight;
    static constexpr void parameters(auto& self, auto&& visit) { visit("weight", self.weight); }
  };
  using Values = Inputs<Shape<dynamic, 4, 12>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::linear(ctx, x, p.weight, None{}); }
};
template <bool Transposed> struct Matmul : Case {
  static constexpr std::string_view ops = "matmul";
  static constexpr Index macs = 2 * 4 * 8 * 12;
  using Values = Inputs<Shape<dynamic, 4, 8>, std::conditional_t<Transposed, Shape<dynamic, 12, 8>, Shape<dynamic, 8, 12>>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& w) { return ops::matmul<Transposed>(ctx, x, w); }
};

template <class X, class W, ops::Subscripts S, Index Macs> struct Einsum : Case {
  static constexpr std::string_view ops = "einsum";
  static constexpr Index macs = Macs;
  using Values = Inputs<X, W>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& w) { return ops::einsum<S>(ctx, x, w); }
};
template <class X, class W, ops::Subscripts S, Index Macs> struct EinsumWithParameter : Case {
  static constexpr std::string_view ops = "einsum";
  static constexpr Index macs = Macs;
  struct Parameters {
    Param<W> weight;
    static constexpr void parameters(auto& self, auto&& visit) { visit("weight", self.weight); }
  };
  using Values = Inputs<X>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::einsum<S>(ctx, x, p.weight); }
};

// Attention -------------------------------------------------------------------------------------------------------------

template <bool WithNorm, int Prefix, bool WithRotary> struct SelfAttend : Case {  // two heads of width 8, 8 tokens
  static constexpr std::string_view ops = "self_attention";
  static constexpr Index macs = 2 * 2 * 8 * 8 * 16;
  struct Parameters {
    std::conditional_t<WithNorm, Param<Shape<8>>, None> q_norm, k_norm;
    static constexpr void parameters(auto& self, auto&& visit) { visit("q_norm", self.q_norm), visit("k_norm", self.k_norm); }
  };
  using Values = Inputs<Shape<dynamic, 8, 48>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& qkv) {
    using Table = std::conditional_t<WithRotary, layer::RotaryTable<2, 8, Prefix>, None>;
    return ops::self_attention<2, Table>(ctx, qkv, p.q_norm, p.k_norm, 1e-6);
  }
};
struct Attend : Case {
  static constexpr std::string_view ops = "attention";
  static constexpr Index macs = 2 * 2 * 4 * 8 * 16;
  using Values = Inputs<Shape<dynamic, 4, 16>, Shape<dynamic, 8, 16>, Shape<dynamic, 8, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& q, const auto& k, const auto& v) { return ops::attention<2>(ctx, q, k, v); }
};

// Sums and products elementwise -------------------------------------------------------------------------------------------

struct Combine : Case {
  static constexpr std::string_view ops = "combine";
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::combine(ctx, 0.75, x, -1.5, y); }
};
struct Scale : Case {
  static constexpr std::string_view ops = "scale";
  using Values = Inputs<Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::scale(ctx, -0.75, x); }
};
struct Add : Case {
  static constexpr std::string_view ops = "add";
  using Values = Inputs<Shape<dynamic, 16>, Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::add(ctx, x, y); }
};
struct AddToItself : Case {
  static constexpr std::string_view ops = "add";
  using Values = Inputs<Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::add(ctx, x, x); }
};
struct Subtract : Case {
  static constexpr std::string_view ops = "subtract";
  using Values = Inputs<Shape<dynamic, 16>, Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::subtract(ctx, x, y); }
};
struct Multiply : Case {
  static constexpr std::string_view ops = "multiply";
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::multiply(ctx, x, y); }
};
struct Square : Case {
  static constexpr std::string_view ops = "multiply";
  using Values = Inputs<Shape<dynamic, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::multiply(ctx, x, x); }
};
struct CombineSamples : Case {
  static constexpr std::string_view ops = "combine_samples";
  static constexpr bool counts = false;
  static constexpr std::array<double, 2> alpha{0.25, -1.5}, beta{2, 0.5};
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 4, 8>>;
  static auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::combine_samples(ctx, std::span(alpha), x, std::span(beta), y); }
};
struct ScaleSamples : Case {
  static constexpr std::string_view ops = "combine_samples";
  static constexpr bool counts = false;
  static constexpr std::array<double, 2> alpha{0.25, -1.5};
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static auto build(auto& ctx, const auto&, const auto& x) { return ops::combine_samples(ctx, std::span(alpha), x, {}, None{}); }
};

// Movement --------------------------------------------------------------------------------------------------------------

struct Reshape : Case {
  static constexpr std::string_view ops = "reshape";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::reshape<Shape<dynamic, 16>>(ctx, x); }
};
template <int Axis, int Begin, int End> struct Slice : Case {
  static constexpr std::string_view ops = "slice";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::slice<Axis, Begin, End>(ctx, x); }
};
template <int Axis> struct Concat : Case {
  static constexpr std::string_view ops = "concat";
  using Values = Inputs<Shape<dynamic, Axis == 1 ? 3 : 4, 8>, Shape<dynamic, 4, Axis == 2 ? 5 : 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::concat<Axis>(ctx, x, y); }
};
struct Permute : Case {
  static constexpr std::string_view ops = "permute";
  using Values = Inputs<Shape<dynamic, 3, 4, 5>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::permute<0, 3, 1, 2>(ctx, x); }
};
template <int Axis> struct Broadcast : Case {
  static constexpr std::string_view ops = "broadcast";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::broadcast<Axis, 3>(ctx, x); }
};
template <int Axis> struct Sum : Case {
  static constexpr std::string_view ops = "sum";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::sum<Axis>(ctx, x); }
};
struct Mean : Case {
  static constexpr std::string_view ops = "mean";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::mean<1>(ctx, x); }
};
struct SumAll : Case {
  static constexpr std::string_view ops = "sum_all";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::sum_all(ctx, x); }
};
struct MeanAll : Case {
  static constexpr std::string_view ops = "mean_all";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::mean_all(ctx, x); }
};
template <class S> struct AddParameter : Case {
  static constexpr std::string_view ops = "add_parameter";
  struct Parameters {
    Param<S> p;
    static constexpr void parameters(auto& self, auto&& visit) { visit("p", self.p); }
  };
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::add_parameter(ctx, x, p.p); }
};
template <class S> struct MultiplyParameter : Case {
  static constexpr std::string_view ops = "multiply_parameter";
  using Parameters = typename AddParameter<S>::Parameters;
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::multiply_parameter(ctx, x, p.p); }
};
struct ParameterAsValue : Case {
  static constexpr std::string_view ops = "parameter";
  using Parameters = AddParameter<Shape<1, 4, 8>>::Parameters;
  using Values = Inputs<>;
  static constexpr auto build(auto& ctx, const auto& p) { return ops::parameter<Shape<dynamic, 4, 8>>(ctx, p.p, batch); }
};
struct DynamicTanh : Case {  // a norm put together from ops, and modulated as any other
  static constexpr std::string_view ops = "activation";
  using Parameters = DyT::Layer<16>;
  using Values = Inputs<Shape<dynamic, 4, 16>, Shape<dynamic, 3 * 16>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x, const auto& m) { return layer::modulated<2, 0>(ctx, p, x, m); }
};
template <ops::PatchOrder Order> struct Patchify : Case {
  static constexpr std::string_view ops = "patchify";
  using Values = Inputs<Shape<dynamic, 3, 4, 4>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::patchify<2, Order>(ctx, x); }
};
template <ops::PatchOrder Order> struct Unpatchify : Case {
  static constexpr std::string_view ops = "unpatchify";
  using Values = Inputs<Shape<dynamic, 4, 12>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::unpatchify<2, 3, Order>(ctx, x); }
};

// Places: picked, convolved, pooled, moved ---------------------------------------------------------------------------------

template <int Count> struct Gather : Case {  // of each sample others
  static constexpr std::string_view ops = "gather";
  static constexpr Index numbers_kept = 64;
  static constexpr std::array<int, 10> tokens{4, 0, 2, 1, 3, 0, 3, 1, 4, 2};
  using Values = Inputs<Shape<dynamic, 5, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::gather<Count>(ctx, x, std::span(tokens).template first<batch * Count>()); }
};
template <bool WithBias> struct CircularConvolution : Case {
  static constexpr std::string_view ops = "circular_convolution";
  static constexpr Index macs = 2 * 8 * 4 * 3 * 6;
  using Parameters = WeightAndBias<Shape<6, 4, 3>, WithBias>;
  using Values = Inputs<Shape<dynamic, 8, 4>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::circular_convolution<3>(ctx, x, p.weight, p.bias); }
};
struct CircularConvolutionByValue : CircularConvolution<true> {  // as the discriminator's, of a weight that was worked out
  static constexpr Index macs = 2 * 8 * 4 * 3 * 8;
  using Parameters = WeightAndBias<Shape<8, 4, 3>, true>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::circular_convolution<3>(ctx, x, ops::parameter<Shape<8, 4, 3>>(ctx, p.weight, 1), p.bias); }
};
struct PointConvolution : Case {  // no neighbours: nothing is gathered
  static constexpr std::string_view ops = "circular_convolution";
  static constexpr Index macs = 2 * 8 * 4 * 6;
  using Parameters = WeightAndBias<Shape<6, 4, 1>, true>;
  using Values = Inputs<Shape<dynamic, 8, 4>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::circular_convolution<1>(ctx, x, p.weight, p.bias); }
};
template <bool WithBias> struct Convolution : Case {
  static constexpr std::string_view ops = "convolution";
  static constexpr Index macs = 2 * 16 * 4 * 9 * 6;
  using Parameters = WeightAndBias<Shape<6, 4, 3, 3>, WithBias>;
  using Values = Inputs<Shape<dynamic, 16, 4>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::convolution<3>(ctx, x, p.weight, p.bias); }
};
struct ConvolutionByValue : Convolution<true> {
  static constexpr Index macs = 2 * 16 * 4 * 9 * 8;
  using Parameters = WeightAndBias<Shape<8, 4, 3, 3>, true>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::convolution<3>(ctx, x, ops::parameter<Shape<8, 4, 3, 3>>(ctx, p.weight, 1), p.bias); }
};
struct StridedConvolution : Case {
  static constexpr std::string_view ops = "convolution";
  static constexpr Index macs = 2 * 4 * 4 * 9 * 6;
  using Parameters = WeightAndBias<Shape<6, 4, 3, 3>, true>;
  using Values = Inputs<Shape<dynamic, 16, 4>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::convolution<3, 2>(ctx, x, p.weight, p.bias); }
};
struct StridedPointConvolution : Case {
  static constexpr std::string_view ops = "convolution";
  static constexpr Index macs = 2 * 4 * 4 * 6;
  using Parameters = WeightAndBias<Shape<6, 4, 1, 1>, true>;
  using Values = Inputs<Shape<dynamic, 16, 4>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::convolution<1, 2>(ctx, x, p.weight, p.bias); }
};
template <int Channels> struct GroupNorm : Case {
  static constexpr std::string_view ops = "group_norm";
  using Parameters = WeightAndBias<Shape<Channels>, true>;
  using Values = Inputs<Shape<dynamic, 4, Channels>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::group_norm<4>(ctx, x, p.weight, p.bias, 1e-6); }
};
struct BatchNorm : Case {
  static constexpr std::string_view ops = "batch_norm";
  using Values = Inputs<Shape<dynamic, 4, 16>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::batch_norm(ctx, x, 1e-6).normed; }
};
struct UpsampleNearest : Case {
  static constexpr std::string_view ops = "upsample_nearest";
  using Values = Inputs<Shape<dynamic, 4, 3>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::upsample_nearest<2>(ctx, x); }
};
struct MaxPool : Case {
  static constexpr std::string_view ops = "max_pool";
  static constexpr bool distinct = true;
  using Values = Inputs<Shape<dynamic, 16, 4>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::max_pool(ctx, x); }
};
struct Translate : Case {
  static constexpr std::string_view ops = "translate";
  static constexpr Index numbers_kept = 64;
  static constexpr std::array<int, 4> shifts{1, -2, 0, 3};
  using Values = Inputs<Shape<dynamic, 3, 4, 5>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::translate(ctx, x, std::span(shifts)); }
};
struct Recomputed : Case {  // of two inputs, and a parameter beside them
  static constexpr std::string_view ops = "recompute";
  static constexpr Index macs = 2 * 4 * 16 * 12;
  using Parameters = LinearMap<true, Activation::none>::Parameters;
  using Values = Inputs<Shape<dynamic, 4, 16>, Shape<dynamic, 4, 12>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x, const auto& y) {
    return ops::recompute(ctx, [p](auto& c, const auto& u, const auto& v) { return ops::multiply(c, ops::silu(c, ops::linear(c, u, p.weight, p.bias)), v); }, x, y);
  }
};

// Norms -----------------------------------------------------------------------------------------------------------------

template <bool WithWeight, bool WithBias, int Width> struct NormParameters {
  std::conditional_t<WithWeight, Param<Shape<Width>>, None> weight;
  std::conditional_t<WithBias, Param<Shape<Width>>, None> bias;
  static constexpr void parameters(auto& self, auto&& visit) { visit("weight", self.weight), visit("bias", self.bias); }
};
template <NormKind Kind, bool WithWeight, bool WithBias> struct Norm : Case {
  static constexpr std::string_view ops = "norm";
  using Parameters = NormParameters<WithWeight, WithBias, 12>;
  using Values = Inputs<Shape<dynamic, 8, 12>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::norm<Kind>(ctx, x, p.weight, p.bias, 1e-6); }
};
template <NormKind Kind, bool WithWeight, bool WithBias, int Shift, int Scale> struct ModulatedNorm : Case {
  static constexpr std::string_view ops = "modulated_norm";
  using Parameters = NormParameters<WithWeight, WithBias, 16>;
  using Values = Inputs<Shape<dynamic, 8, 16>, Shape<dynamic, 3 * 16>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x, const auto& m) {
    return ops::modulated_norm<Kind, Shift, Scale>(ctx, x, p.weight, p.bias, m, 1e-6);
  }
};
struct GatedResidual : Case {
  static constexpr std::string_view ops = "gated_residual";
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 4, 8>, Shape<dynamic, 3 * 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& h, const auto& m) { return ops::gated_residual<1>(ctx, x, h, m); }
};
struct GatedResidualWide : Case {
  static constexpr std::string_view ops = "widen";
  using Values = GatedResidual::Values;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x, const auto& h, const auto& m) { return GatedResidual::build(ctx, p, ops::widen(ctx, x), h, m); }
};
template <NormKind Kind> struct ModulatedNormWide : Case {
  static constexpr std::string_view ops = "widen";
  using Narrow = ModulatedNorm<Kind, true, Kind == NormKind::layer, 2, 0>;
  using Parameters = typename Narrow::Parameters;
  using Values = typename Narrow::Values;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x, const auto& m) { return Narrow::build(ctx, p, ops::widen(ctx, x), m); }
};
struct MoveWide : Case {
  static constexpr std::string_view ops = "narrow";
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 2, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& y) {
    const auto joined = ops::concat<1>(ctx, ops::widen(ctx, x), ops::widen(ctx, y));
    const auto turned = ops::permute<0, 2, 1>(ctx, ops::slice<1, 1, 5>(ctx, joined));
    const auto sums = ops::broadcast<1, 3>(ctx, ops::mean<1>(ctx, ops::reshape<Shape<dynamic, 4, 8>>(ctx, turned)));
    return ops::narrow(ctx, ops::combine(ctx, 0.5, sums, -2, ops::scale(ctx, 3, sums)));
  }
};
template <NormKind Kind> struct ModulatedNormByToken : ModulatedNorm<Kind, true, false, 2, 0> {
  using Values = Inputs<Shape<dynamic, 8, 16>, Shape<dynamic, 8, 3 * 16>>;
};
// adaLN by token under a norm that has none of its own.
struct DynamicTanhByToken : Case {
  static constexpr std::string_view ops = "add";
  using Parameters = DyT::Layer<16>;
  using Values = Inputs<Shape<dynamic, 8, 16>, Shape<dynamic, 8, 3 * 16>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x, const auto& m) { return layer::modulated<2, 0>(ctx, p, x, m); }
};
struct GatedResidualByToken : GatedResidual {
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 4, 8>, Shape<dynamic, 4, 3 * 8>>;
};
template <NormKind Kind> struct ModulatedNormWideByToken : ModulatedNormWide<Kind> {
  using Values = Inputs<Shape<dynamic, 8, 16>, Shape<dynamic, 8, 3 * 16>>;
};
struct GatedResidualWideByToken : GatedResidualWide {
  using Values = GatedResidualByToken::Values;
};
struct ChannelAffine : Case {
  static constexpr std::string_view ops = "channel_affine";
  using Values = Inputs<Shape<dynamic, 3, 2, 4>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) {
    return ops::channel_affine(ctx, x, std::array<double, 3>{0.5, -2, 0.25}, std::array<double, 3>{1, 0, -0.5});
  }
};
struct AddValue : Case {
  static constexpr std::string_view ops = "add_value";
  struct Parameters {
    Param<Shape<4, 8>> p;
    static constexpr void parameters(auto& self, auto&& visit) { visit("p", self.p); }
  };
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::add_value(ctx, x, ops::parameter<Shape<4, 8>>(ctx, p.p, 1)); }
};
struct Fourier : Case {
  static constexpr std::string_view ops = "fourier";
  struct Parameters {
    Param<Shape<6>> w;
    static constexpr void parameters(auto& self, auto&& visit) { visit("w", self.w); }
  };
  static constexpr std::array<double, 16> times{0.3, 0.9, 0.05, 0.5, 1, 0, 0.7, 0.2, 0.35, 0.95, 0.15, 0.55, 0.8, 0.1, 0.75, 0.25};  // 64 bytes and more, as memory is given
  using Values = Inputs<>;
  static constexpr auto build(auto& ctx, const auto& p) { return ops::fourier(ctx, p.w, std::span(times)); }
};
struct GatedResidualFromItself : Case {
  static constexpr std::string_view ops = "gated_residual";
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 2 * 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& m) { return ops::gated_residual<0>(ctx, x, x, m); }
};

// Labels, times, chance, losses ---------------------------------------------------------------------------------------------

struct Embedding : Case {  // a label twice: its rows' gradients add up
  static constexpr std::string_view ops = "embedding";
  static constexpr std::array<int, 4> labels{2, 0, 2, 4};
  struct Parameters {
    Param<Shape<5, 8>> table;
    static constexpr void parameters(auto& self, auto&& visit) { visit("table", self.table); }
  };
  using Values = Inputs<>;
  static constexpr auto build(auto& ctx, const auto& p) { return ops::embedding(ctx, p.table, std::span(labels)); }
};
struct Sinusoidal : Case {
  static constexpr std::string_view ops = "sinusoidal";
  static constexpr std::array<double, 2> times{0.3, 0.9};
  using Values = Inputs<>;
  static constexpr auto build(auto& ctx, const auto&) { return ops::sinusoidal<16>(ctx, std::span(times)); }
};
struct Drop : Case {
  static constexpr std::string_view ops = "dropout";
  static constexpr bool draws = true;
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::dropout(ctx, x, 0.25, 3); }
};
struct NoDrop : Case {
  static constexpr std::string_view ops = "dropout";
  using Values = Inputs<Shape<dynamic, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return ops::dropout(ctx, x, 0, 3); }
};
struct WeightedMse : Case {
  static constexpr std::string_view ops = "weighted_mse";
  static constexpr bool counts = false;
  static constexpr std::array<double, 2> weight{0.5, 3};
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 4, 8>>;
  static auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::weighted_mse(ctx, x, y, std::span(weight)); }
};
struct Mse : Case {
  static constexpr std::string_view ops = "mse";
  static constexpr bool counts = false;
  using Values = Inputs<Shape<dynamic, 4, 8>, Shape<dynamic, 4, 8>>;
  static auto build(auto& ctx, const auto&, const auto& x, const auto& y) { return ops::mse(ctx, x, y); }
};
struct CrossEntropy : Case {
  static constexpr std::string_view ops = "cross_entropy";
  static constexpr bool counts = false;
  static constexpr std::array<int, 8> labels{1, 0, 5, 5, 2, 3, 4, 0};
  using Values = Inputs<Shape<dynamic, 4, 6>>;
  static auto build(auto& ctx, const auto&, const auto& x) { return ops::cross_entropy(ctx, x, std::span(labels)); }
};

/// Every use of every op.
using Cases = std::tuple<
    Activate<Activation::relu>, Activate<Activation::silu>, Activate<Activation::gelu_erf>, Activate<Activation::gelu_tanh>, Relu, Silu, Gelu, SwiGlu,
    Softmax, LinearMap<true, Activation::none>, LinearMap<false, Activation::none>, LinearMap<true, Activation::silu>, LinearMap<false, Activation::gelu_tanh>,
    LinearOfConvolution, Matmul<false>, Matmul<true>,
    Einsum<Shape<dynamic, 4, 8>, Shape<dynamic, 12, 8>, "b n d, b m d -> b n m", 2 * 4 * 12 * 8>, Einsum<Shape<dynamic, 2, 4, 8>, Shape<dynamic, 8, 2>, "b h n d, b d h -> b n h", 2 * 2 * 4 * 8>,
    EinsumWithParameter<Shape<dynamic, 4, 8>, Shape<12, 8>, "b n d, m d -> b n m", 2 * 4 * 12 * 8>,
    EinsumWithParameter<Shape<dynamic, 4, 2, 8>, Shape<6, 8, 2>, "b n h d, m d h -> b m h n", 2 * 4 * 2 * 8 * 6>, SelfAttend<false, 0, false>, SelfAttend<true, 0, false>, SelfAttend<false, 4, true>,
    SelfAttend<true, 4, true>, Attend, Combine, Scale, Add, AddToItself, Subtract, Multiply, Square, CombineSamples, ScaleSamples, Reshape,
    Slice<1, 1, 3>, Slice<2, 4, 8>, Concat<1>, Concat<2>, Permute, Broadcast<1>, Broadcast<2>, Broadcast<3>, Sum<1>, Sum<2>, Mean,
    AddParameter<Shape<1, 4, 8>>, AddParameter<Shape<8>>, MultiplyParameter<Shape<8>>, MultiplyParameter<Shape<1>>, MultiplyParameter<Shape<1, 4, 8>>, ParameterAsValue,
    SumAll, MeanAll, Activate<DyT::Tanh{}>, Activate<ops::Abs{}>, Activate<ops::LeakyReLU<>{}>, Activate<ops::Reciprocal{}, 50>, Activate<ops::Hinge<1>{}>, Activate<ops::Hinge<-1>{}>, Activate<ops::Clamp<-30, 20>{}>, Activate<ops::HalfExp{}>, Activate<ops::ExpExcess{}>,
    Quantise, DynamicTanh,
    Gather<3>, Gather<5>, CircularConvolution<true>, CircularConvolution<false>, CircularConvolutionByValue, PointConvolution,
    Convolution<true>, Convolution<false>, ConvolutionByValue, StridedConvolution, StridedPointConvolution, GroupNorm<12>, GroupNorm<16>, BatchNorm, UpsampleNearest, MaxPool, Translate, Recomputed,
    Patchify<ops::PatchOrder::channel_row_column>, Patchify<ops::PatchOrder::row_column_channel>, Unpatchify<ops::PatchOrder::channel_row_column>,
    Unpatchify<ops::PatchOrder::row_column_channel>, Norm<NormKind::rms, true, false>, Norm<NormKind::layer, true, true>,
    Norm<NormKind::layer, false, false>, ModulatedNorm<NormKind::rms, true, false, 0, 1>, ModulatedNorm<NormKind::layer, true, true, 2, 0>,
    ModulatedNorm<NormKind::layer, false, false, 1, 2>, GatedResidual, GatedResidualFromItself, GatedResidualWide,
    ModulatedNormWide<NormKind::rms>, ModulatedNormWide<NormKind::layer>, MoveWide, ModulatedNormByToken<NormKind::layer>, ModulatedNormByToken<NormKind::rms>, DynamicTanhByToken, GatedResidualByToken,
    ModulatedNormWideByToken<NormKind::layer>, GatedResidualWideByToken, Embedding, Sinusoidal, ChannelAffine, AddValue, Fourier, Drop, NoDrop, WeightedMse, Mse,
    CrossEntropy>;

/// Front doors that are no functions of values: inputs, outputs and noise, tested by name in inputs.cpp.
inline constexpr std::array<std::string_view, 5> tested_elsewhere{"input_from", "input", "borrow", "output", "normal"};

}  // namespace ops_test
