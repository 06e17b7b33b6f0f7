// A residual stream in f32 through a model in bf16: the option WideResidual.
#include "ops/harness.hpp"

#include <sfumato/nn/transformer.hpp>

#include <doctest/doctest.h>

namespace {

using namespace ops_test;

// Deep, so that what is rounded at each block adds up.
template <class Norm, class... More> struct Deep : Case {
  using Parameters = Transformer<16, 16, Norm, GELUTanh, Heads<2>, Context<1, 3>, More...>;
  using Values = std::conditional_t<Parameters::modulated, Inputs<Shape<dynamic, 4, 16>, Shape<dynamic, 1, 16>, Shape<dynamic, 16>>, Inputs<Shape<dynamic, 4, 16>, Shape<dynamic, 1, 16>>>;
  static auto build(auto& ctx, const auto& p, const auto& x, const auto& context) { return p(ctx, x, None{}, context); }
  static auto build(auto& ctx, const auto& p, const auto& x, const auto& context, const auto& condition) { return p(ctx, x, condition, context); }
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

}  // namespace

TEST_CASE("a residual stream in f32 brings a bf16 model nearer to the truth: RMSNorm with adaLN") { compare<RMSNorm, AdaLNZero>(); }
TEST_CASE("... LayerNorm with LayerScale, recomputed") { compare<LayerNorm, LayerScale<std::ratio<1, 4>>, Recompute>(); }
TEST_CASE("... a norm that takes no wide values") { compare<DyT>(); }
TEST_CASE("... and with adaLN") { compare<DyT, AdaLNZero>(); }
