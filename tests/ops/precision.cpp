// Every case of the list in f32 and bf16 on Cpu, against f64 on Reference from the same numbers.
#include "ops/harness.hpp"

using namespace ops_test;

namespace {

// Half of the relative error, in the norm.
constexpr double f32_value = 3e-7, f32_gradient = 1e-6, bf16_value = 3e-3, bf16_gradient = 5e-3;

}  // namespace

TEST_CASE("every op: f32 on Cpu is close to f64 on Reference, value and gradients") {
  for_each_case([]<class C>(std::type_identity<C>) {
    for (const std::uint64_t seed : {11, 12}) {
      const Problem<C> problem(seed);
      const Gradients expected = Bench<C, Reference, double>(problem).record(), found = Bench<C, Cpu, float>(problem).record();
      check_within(relative_difference(found.value, expected.value), f32_value, "value");
      for (std::size_t i = 0; i < found.inputs.size(); ++i)
        check_within(relative_difference(found.inputs[i], expected.inputs[i]), f32_gradient, "gradient of input " + std::to_string(i));
      check_within(relative_difference(found.parameters, expected.parameters), f32_gradient, "gradient of the parameters");
    }
  });
}

TEST_CASE("every op: bf16 on Cpu is close to f64 on Reference") {
  for_each_case([]<class C>(std::type_identity<C>) {
    if constexpr (!C::draws) {
      const Problem<C> problem(13);
      const Values expected = Bench<C, Reference, double>(problem).run();
      check_within(relative_difference(Bench<C, Cpu, bf16>(problem).run(), expected), bf16_value, "Cpu");
    }
  });
}

TEST_CASE("every op: gradients in bf16 on Cpu are close to f64 on Reference") {
  for_each_case([]<class C>(std::type_identity<C>) {
    if constexpr (!C::draws) {
      const Problem<C> problem(14);
      const Gradients expected = Bench<C, Reference, double>(problem).record(), found = Bench<C, Cpu, bf16>(problem).record();
      for (std::size_t i = 0; i < found.inputs.size(); ++i)
        check_within(relative_difference(found.inputs[i], expected.inputs[i]), bf16_gradient, name_of<C>() + ", gradient of input " + std::to_string(i));
      check_within(relative_difference(found.parameters, expected.parameters), bf16_gradient, name_of<C>() + ", gradient of the parameters");
    }
  });
}
