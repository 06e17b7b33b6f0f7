// A residual stream in f32 through a model in bf16: the option WideResidual.
#include "ops/harness.hpp"

#include <sfumato/nn/transformer.hpp>

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>

namespace {

using namespace ops_test;

// Deep, so that what is rounded at each block adds up.
template <class Norm, class... More> struct Deep : Case {
  using Parameters = Transformer<16, 16, Norm, GELUTanh, Heads<2>, Context<1, 3>, More...>;
  using Values = std::conditional_t<Parameters::modulated, Inputs<Shape<dynamic, 4, 16>, Shape<dynamic, 1, 16>, Shape<dynamic, 16>>, Inputs<Shape<dynamic, 4, 16>, Shape<dynamic, 1, 16>>>;
  static auto build(auto& ctx, const auto& p, const auto& x, const auto& context) { return p(ctx, x, None{}, context); }
  static auto build(auto& ctx, const auto& p, const auto& x, const auto& context, const auto& condition) { return p(ctx, x, condition, context); }
};

// A norm with a modulation of its own that takes no wide values.
struct Rounding {
  template <int Width> struct Layer : RMSNorm::Layer<Width> {
    static constexpr bool takes_wide = false;
  };
};

template <class C> Problem<C> problem() {
  Problem<C> out(31);
  for (double& w : out.weights) w = static_cast<double>(bf16(0.25 * w));  // branches are small beside the stream
  return out;
}
template <class C, class B, class E> Gradients found() {
  const Problem<C> p = problem<C>();
  return Bench<C, B, E>(p).record();
}
Values all_inputs(const Gradients& g) {
  Values out;
  for (const Values& x : g.inputs) out.insert(out.end(), x.begin(), x.end());
  return out;
}

template <class Norm, class... More> void compare() {
  const Gradients expected = found<Deep<Norm, More...>, Reference, double>();
  const Gradients narrow = found<Deep<Norm, More...>, Tested, bf16>(), wide = found<Deep<Norm, WideResidual, More...>, Tested, bf16>();
  const auto gain = [&](const std::string& what, const auto& part) {
    const double before = relative_difference(part(narrow), part(expected)), after = relative_difference(part(wide), part(expected));
    INFO(what << ": off by " << before << " with the stream in bf16, by " << after << " in f32");
    CHECK(after < 0.02);
    CHECK(after < 0.7 * before);
  };
  gain("value", [](const Gradients& g) { return g.value; });
  gain("gradients of inputs", all_inputs);
  gain("gradients of weights", [](const Gradients& g) { return g.parameters; });
  // Where elements are as wide already, the option does nothing.
  const Gradients plain = found<Deep<Norm, More...>, Tested, float>(), same = found<Deep<Norm, WideResidual, More...>, Tested, float>();
  CHECK(plain.value == same.value);
  CHECK(plain.inputs == same.inputs);
  CHECK(plain.parameters == same.parameters);
}

/// The gradient of a wide value that a norm reads and two gated residuals add to, and of the narrow one that it was made of.
template <class B, class E> std::pair<Values, Values> gradients_of_wide() {
  using X = Shape<dynamic, 8, 16>;
  B device;
  Workspace<B> workspace(device);
  Tape<B, E> tape(workspace);
  Record<B, E> ctx(tape, nullptr, nullptr);
  const auto input = [&]<class S>(std::type_identity<S>, std::uint32_t number) { return ops::input<S>(ctx, std::span<const double>(values(2 * S::row, 5, number))); };
  auto x = input(std::type_identity<X>{}, 0);
  const auto h = input(std::type_identity<X>{}, 1), d_y = input(std::type_identity<X>{}, 3);
  const auto m = input(std::type_identity<Shape<dynamic, 48>>{}, 2);
  ctx.require_gradient(x);
  const auto from_x = ops::widen(ctx, x), again = ops::widen(ctx, x);
  auto w = ops::combine(ctx, 0.5, from_x, 0.5, again);
  ctx.run_down_to(0);
  ctx.require_gradient(w);
  const auto y = ops::modulated_norm<NormKind::layer, 0, 1>(ctx, w, None{}, None{}, m, 1e-6);
  ctx.add_gradient(ctx.data(d_y), y.handle.slot);
  const auto wide_d_y = ops::widen(ctx, d_y);
  for (const auto& z : {ops::gated_residual<2>(ctx, w, h, m), ops::gated_residual<2>(ctx, w, h, None{})}) ctx.add_gradient(ctx.data(wide_d_y), z.handle.slot);
  ctx.run_down_to(0);
  const auto host = [&]<class T>(const T* d) {
    std::vector<T> elements(2 * X::row);
    Kernels<B>::download(device, elements.data(), d, Index(elements.size()));
    return Values(elements.begin(), elements.end());
  };
  const Values d_w = host(ctx.gradient_of(w));
  const auto one = ops::widen(ctx, x), two = ops::widen(ctx, x);
  for (const auto& v : {one, two}) ctx.add_gradient(ctx.gradient_of(w), v.handle.slot);
  ctx.run_down_to(0);
  return {d_w, host(ctx.gradient_of(x))};
}

}  // namespace

TEST_CASE("the gradient of a wide value is wide, from all that use it; of what it was made of, rounded once for each use") {
  const auto [d_w, d_x] = gradients_of_wide<Tested, bf16>();
  const auto [exact_w, exact_x] = gradients_of_wide<Reference, double>();
  CHECK(relative_difference(d_w, exact_w) < 1e-6);
  CHECK(relative_difference(d_x, exact_x) < 4e-3);
}

TEST_CASE("a residual stream in f32 brings a bf16 model nearer to the truth: RMSNorm with adaLN") { compare<RMSNorm, AdaLNZero>(); }
TEST_CASE("... LayerNorm with LayerScale, recomputed") { compare<LayerNorm, LayerScale<std::ratio<1, 4>>, Recompute>(); }
TEST_CASE("... a norm that takes no wide values") { compare<DyT>(); }
TEST_CASE("... and with adaLN") { compare<DyT, AdaLNZero>(); }
TEST_CASE("... with a modulation of its own") { compare<Rounding, AdaLNZero>(); }
