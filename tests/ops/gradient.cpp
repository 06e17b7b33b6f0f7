// Every case of the list, registered as a test case of its own: its gradients in f64 against central differences, on Reference and
// on Cpu.
#include "ops/harness.hpp"

#include <concepts>

using namespace ops_test;

// How doctest lists a case: by its type, less the namespaces.
namespace doctest {
template <class C> requires std::derived_from<C, ops_test::Case> String toString() {
  std::string name = name_of<C>();
  for (const std::string_view space : {"ops_test::", "sfumato::v0_1::", "sfumato::"})
    for (auto at = name.find(space); at != std::string::npos; at = name.find(space)) name.erase(at, space.size());
  return name.c_str();
}
}  // namespace doctest

namespace {

// d sum(w y) / d x by central differences of the inference context on Reference.
template <class C> Gradients numeric(const Problem<C>& problem) {
  Bench<C, Reference, double> bench(problem);
  Gradients out;
  out.value = bench.run();
  const Values w = problem.output_weights(out.value.size());
  const auto loss = [&](const std::vector<Values>& inputs, const Values& weights) {
    double sum = 0;
    const Values y = bench.run(inputs, weights);
    for (std::size_t i = 0; i < y.size(); ++i) sum += w[i] * y[i];
    return sum;
  };
  const double h = 1e-5;
  auto inputs = problem.inputs;
  for (auto& x : inputs) {
    Values& d = out.inputs.emplace_back();
    for (double& element : x) {
      const double at = std::exchange(element, element + h), above = loss(inputs, problem.weights);
      element = at - h;
      d.push_back((above - loss(inputs, problem.weights)) / (2 * h));
      element = at;
    }
  }
  Values weights = problem.weights;
  out.parameters.assign(weights.size(), 0);
  for (const ParameterInfo& p : parameter_table(problem.parameters))
    for (std::size_t i = std::size_t(p.offset); i < std::size_t(p.offset + p.size); ++i) {
      const double at = std::exchange(weights[i], weights[i] + h), above = loss(problem.inputs, weights);
      weights[i] = at - h;
      out.parameters[i] = (above - loss(problem.inputs, weights)) / (2 * h);
      weights[i] = at;
    }
  return out;
}

template <class C> void compare(const Problem<C>& problem, const Gradients& found, const Gradients& expected, double bound, const std::string& where) {
  REQUIRE(found.inputs.size() == expected.inputs.size());
  for (std::size_t i = 0; i < found.inputs.size(); ++i) {
    REQUIRE(!found.inputs[i].empty());
    CHECK(norm(found.inputs[i]) > 0);
    check_within(relative_difference(found.inputs[i], expected.inputs[i]), bound, where + ", gradient of input " + std::to_string(i));
  }
  for (const ParameterInfo& p : parameter_table(problem.parameters)) {
    const auto part = [&](const Values& all) { return Values(all.begin() + p.offset, all.begin() + p.offset + p.size); };
    CHECK(norm(part(found.parameters)) > 0);
    check_within(relative_difference(part(found.parameters), part(expected.parameters)), bound, where + ", gradient of " + p.name);
  }
}

Gradients scaled(Gradients g, double factor) {
  for (auto& x : g.inputs)
    for (double& v : x) v *= factor;
  for (double& v : g.parameters) v *= factor;
  return g;
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("gradients are those of central differences: ", C, central_differences) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Problem<C> problem(seed);
    const Gradients on_reference = Bench<C, Reference, double>(problem).record();
    const Gradients on_cpu = Bench<C, Cpu, double>(problem).record();
    check_within(relative_difference(on_cpu.value, on_reference.value), 1e-13, "Cpu, value");
    if constexpr (C::draws) {  // no inference to difference: linear in x, so the gradient of sum(w y) does not change with x
      compare(problem, on_cpu, on_reference, 1e-12, "Cpu against Reference");
    } else {
      const Gradients expected = numeric(problem);
      check_within(relative_difference(on_reference.value, expected.value), 1e-14, "Reference, value");
      compare(problem, on_reference, expected, 1e-6, "Reference");
      compare(problem, on_cpu, expected, 1e-6, "Cpu");
    }
  }
}
TEST_CASE_TEMPLATE_APPLY(central_differences, Cases);

TEST_CASE_TEMPLATE_DEFINE("gradients of two uses of the same value add up: ", C, two_uses) {
  const Problem<C> problem(4);
  compare(problem, Bench<C, Reference, double>(problem).record({.times = 2}), scaled(Bench<C, Reference, double>(problem).record(), 2), 1e-13, "Reference");
  compare(problem, Bench<C, Cpu, double>(problem).record({.times = 2}), scaled(Bench<C, Cpu, double>(problem).record(), 2), 1e-13, "Cpu");
}
TEST_CASE_TEMPLATE_APPLY(two_uses, Cases);

TEST_CASE_TEMPLATE_DEFINE("a gradient does not depend on who else asks for one: ", C, asked_alone) {
  const Problem<C> problem(5);
  Bench<C, Cpu, double> bench(problem);
  const Gradients all = bench.record();
  const unsigned n = unsigned(problem.inputs.size());
  for (unsigned i = 0; i < n; ++i) {
    const Gradients alone = bench.record({.inputs = 1u << i, .parameters = false});
    for (unsigned j = 0; j < n; ++j) {
      if (i == j) CHECK(alone.inputs[j] == all.inputs[j]);
      else CHECK(alone.inputs[j].empty());
    }
    CHECK(norm(alone.parameters) == 0);
  }
  CHECK(bench.record({.inputs = 0}).parameters == all.parameters);
  const Gradients none = bench.record({.inputs = 0, .parameters = false});
  CHECK(none.value == all.value);
  CHECK(norm(none.parameters) == 0);
}
TEST_CASE_TEMPLATE_APPLY(asked_alone, Cases);

TEST_CASE("dropout's gradient passes where its mask does") {
  const Problem<Drop> problem(1);
  const Gradients g = Bench<Drop, Reference, double>(problem).record();
  const Values w = problem.output_weights(g.value.size());
  int dropped = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const bool gone = g.value[i] == 0;
    dropped += gone;
    CHECK(g.value[i] == doctest::Approx(gone ? 0 : problem.inputs[0][i] / 0.75).epsilon(1e-14));
    CHECK(g.inputs[0][i] == doctest::Approx(gone ? 0 : w[i] / 0.75).epsilon(1e-14));
  }
  CHECK(dropped > 0);
  CHECK(dropped < 40);
}
