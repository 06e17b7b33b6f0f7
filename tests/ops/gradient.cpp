// The library's cases: gradients against central differences, one test case each.
#include "ops/generated.hpp"

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

SFUMATO_TEST_OP_GRADIENTS(Cases);
