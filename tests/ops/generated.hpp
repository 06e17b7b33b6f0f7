// What is generated from a list of cases. `using MyCases = std::tuple<MyCase, ...>; SFUMATO_TEST_OPS(MyCases)` at the end of a
// test file registers all of it: gradients against central differences, precision in f32 and bf16, the same bits in both contexts, costs and memory.
//
// The backend under test is `Tested` of harness.hpp; Reference is the oracle.
#pragma once

#include "central_difference.hpp"
#include "ops/harness.hpp"

#include <sfumato/autodiff/count.hpp>

#include <concepts>

// How doctest lists a case: by its type, less the namespaces.
namespace doctest {
template <class C> requires std::derived_from<C, ops_test::Case> String toString() {
  std::string name = ops_test::name_of<C>();
  for (const std::string_view space : {"ops_test::", "sfumato::v0_1::", "sfumato::"})
    for (auto at = name.find(space); at != std::string::npos; at = name.find(space)) name.erase(at, space.size());
  return name.c_str();
}
}  // namespace doctest

namespace {

using namespace ops_test;

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
  auto inputs = problem.inputs;
  for (auto& x : inputs) {
    Values& d = out.inputs.emplace_back();
    for (double& element : x) d.push_back(central_difference(element, [&] { return loss(inputs, problem.weights); }));
  }
  Values weights = problem.weights;
  out.parameters.assign(weights.size(), 0);
  for (const ParameterInfo& p : parameter_table(problem.parameters))
    for (std::size_t i = std::size_t(p.offset); i < std::size_t(p.offset + p.size); ++i)
      out.parameters[i] = central_difference(weights[i], [&] { return loss(problem.inputs, weights); });
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

[[maybe_unused]] Gradients scaled(Gradients g, double factor) {
  for (auto& x : g.inputs)
    for (double& v : x) v *= factor;
  for (double& v : g.parameters) v *= factor;
  return g;
}

template <class C, class B, class E> void check_same_bits(const char* where) {
  const Problem<C> problem(21);
  Bench<C, B, E> bench(problem);
  INFO(where);
  CHECK(bench.run() == bench.record().value);
}

// What the case costs, its inputs being values that somebody made.
template <class C> constexpr Cost count() {
  Count count;
  const typename C::Parameters parameters{};
  [&]<class... S>(Inputs<S...>) {
    C::build(count, parameters, count.make<S>(C::batch)...);
  }(typename C::Values{});
  return count.cost;
}

// Half of the relative error, in the norm.
constexpr double f32_value = 3e-7, f32_gradient = 1e-6, bf16_value = 3e-3, bf16_gradient = 5e-3;

template <class List> void check_bits() {
  for_each_case<List>([]<class C>(std::type_identity<C>) {
    if constexpr (!C::draws) {
      check_same_bits<C, Tested, float>("f32");
      if constexpr (!C::rounds_twice) check_same_bits<C, Tested, bf16>("bf16");
    }
  });
}

template <class List> void check_costs() {
  for_each_case<List>([]<class C>(std::type_identity<C>) {
    if constexpr (C::counts) {
      constexpr Cost counted = count<C>();
      const Cost cost = counted;  // g++ 12 fails on a captured constexpr object
      CHECK(cost.macs == C::macs);
      const Problem<C> problem(22);
      const auto compare = [&]<class E>(std::type_identity<E>) {
        Bench<C, Tested, E> bench(problem);
        const Index bytes = cost.saved * Index(sizeof(E)) + cost.saved_wide * Index(sizeof(compute_t<E>)) + C::numbers_kept, kept = Index(bench.kept_bytes());
        if constexpr (std::is_same_v<E, bf16>) CHECK((kept >= bytes && kept < bytes + 8 * 64));  // a few blocks, each rounded up to 64 bytes
        else CHECK(kept == bytes);
      };
      compare(std::type_identity<float>{});
      compare(std::type_identity<double>{});
      compare(std::type_identity<bf16>{});
    }
  });
}

template <class List> void check_memory() {
  for_each_case<List>([]<class C>(std::type_identity<C>) {
    const Problem<C> problem(23);
    Bench<C, Tested, float> bench(problem);
    bench.run();
    bench.record();
    const std::size_t live = bench.workspace().pool().live_bytes();
    const Index allocations = bench.workspace().allocations();
    bench.run();
    bench.record();
    CHECK(bench.workspace().pool().live_bytes() == live);
    CHECK(bench.workspace().allocations() == allocations);
  });
}

template <class List> void check_f32() {
  for_each_case<List>([]<class C>(std::type_identity<C>) {
    for (const std::uint64_t seed : {11, 12}) {
      const Problem<C> problem(seed);
      const Gradients expected = Bench<C, Reference, double>(problem).record(), found = Bench<C, Tested, float>(problem).record();
      check_within(relative_difference(found.value, expected.value), f32_value, "value");
      for (std::size_t i = 0; i < found.inputs.size(); ++i)
        check_within(relative_difference(found.inputs[i], expected.inputs[i]), f32_gradient, "gradient of input " + std::to_string(i));
      check_within(relative_difference(found.parameters, expected.parameters), f32_gradient, "gradient of the parameters");
    }
  });
}

template <class List> void check_bf16() {
  for_each_case<List>([]<class C>(std::type_identity<C>) {
    if constexpr (!C::draws) {
      const Problem<C> problem(13);
      const Values expected = Bench<C, Reference, double>(problem).run();
      check_within(relative_difference(Bench<C, Tested, bf16>(problem).run(), expected), bf16_value, "tested backend");
    }
  });
}

template <class List> void check_bf16_gradients() {
  for_each_case<List>([]<class C>(std::type_identity<C>) {
    if constexpr (!C::draws) {
      const Problem<C> problem(14);
      const Gradients expected = Bench<C, Reference, double>(problem).record(), found = Bench<C, Tested, bf16>(problem).record();
      for (std::size_t i = 0; i < found.inputs.size(); ++i)
        check_within(relative_difference(found.inputs[i], expected.inputs[i]), bf16_gradient, name_of<C>() + ", gradient of input " + std::to_string(i));
      check_within(relative_difference(found.parameters, expected.parameters), bf16_gradient, name_of<C>() + ", gradient of the parameters");
    }
  });
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("gradients are those of central differences: ", C, central_differences) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Problem<C> problem(seed);
    const Gradients on_reference = Bench<C, Reference, double>(problem).record();
    const Gradients on_tested = Bench<C, Tested, double>(problem).record();
    check_within(relative_difference(on_tested.value, on_reference.value), 1e-13, "tested backend, value");
    if constexpr (C::draws) {  // no inference to difference: linear in x, so the gradient of sum(w y) does not change with x
      compare(problem, on_tested, on_reference, 1e-12, "tested backend against Reference");
    } else {
      const Gradients expected = numeric(problem);
      check_within(relative_difference(on_reference.value, expected.value), 1e-14, "Reference, value");
      compare(problem, on_reference, expected, 1e-6, "Reference");
      compare(problem, on_tested, expected, 1e-6, "tested backend");
    }
  }
}

TEST_CASE_TEMPLATE_DEFINE("gradients of two uses of the same value add up: ", C, two_uses) {
  const Problem<C> problem(4);
  compare(problem, Bench<C, Reference, double>(problem).record({.times = 2}), scaled(Bench<C, Reference, double>(problem).record(), 2), 1e-13, "Reference");
  compare(problem, Bench<C, Tested, double>(problem).record({.times = 2}), scaled(Bench<C, Tested, double>(problem).record(), 2), 1e-13, "tested backend");
}

TEST_CASE_TEMPLATE_DEFINE("a gradient does not depend on who else asks for one: ", C, asked_alone) {
  const Problem<C> problem(5);
  Bench<C, Tested, double> bench(problem);
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


#define SFUMATO_TEST_OP_GRADIENTS(List) \
  TEST_CASE_TEMPLATE_APPLY(central_differences, List); \
  TEST_CASE_TEMPLATE_APPLY(two_uses, List); \
  TEST_CASE_TEMPLATE_APPLY(asked_alone, List)

#define SFUMATO_TEST_OP_CONTEXTS(List) \
  TEST_CASE(#List ": Run and Record give the same bits") { check_bits<List>(); } \
  TEST_CASE(#List ": Count's saved elements are what the tape keeps, and its multiply-adds are known") { check_costs<List>(); } \
  TEST_CASE(#List ": its memory comes back, and the second time costs no new memory") { check_memory<List>(); }

#define SFUMATO_TEST_OP_PRECISION(List) \
  TEST_CASE(#List ": f32 is close to f64 on Reference, value and gradients") { check_f32<List>(); } \
  TEST_CASE(#List ": bf16 is close to f64 on Reference") { check_bf16<List>(); } \
  TEST_CASE(#List ": gradients in bf16 are close to f64 on Reference") { check_bf16_gradients<List>(); }

#define SFUMATO_TEST_OPS(List) \
  SFUMATO_TEST_OP_GRADIENTS(List); \
  SFUMATO_TEST_OP_CONTEXTS(List) \
  SFUMATO_TEST_OP_PRECISION(List)
