#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/precondition.hpp>
#include <sfumato/autodiff/run.hpp>

#include <doctest/doctest.h>

using namespace sfumato;

namespace {
/// Predicts its input, for any label.
struct Identity {
  static constexpr int classes = 1, path_width = 2, token_dim = 2;
  template <class> static constexpr bool waives = false;
  using ImageShape = Shape<dynamic, 2>;
  static constexpr void parameters(auto&, auto&&) {}
  template <class Ctx, class Z> auto operator()(Ctx&, const Z& z, std::span<const double>, std::span<const int>) const { return z; }
};

/// The definition in the paper's words (table 10), for t > 0.
SkipAndOut edm_by_definition(double t) {
  const double sigma = (1 - t) / t, data = 0.5, sum = data * data + sigma * sigma;
  return {data * data / sum / t, data * sigma / std::sqrt(sum)};
}
using Edm = Preconditioned<Identity, EdmPrecondition>;
static_assert(Edm::classes == 1 && Edm::path_width == 2 && Edm::token_dim == 2 && !Edm::waives<int>);
}  // namespace

TEST_CASE("EDM preconditioning is the paper's where that is defined, and finite at t = 0") {
  for (const double t : {0.01, 0.3, 0.5, 0.9, 1.0}) {
    CHECK(EdmPrecondition::at(t).skip == doctest::Approx(edm_by_definition(t).skip).epsilon(1e-12));
    CHECK(EdmPrecondition::at(t).out == doctest::Approx(edm_by_definition(t).out).epsilon(1e-12));
  }
  CHECK(EdmPrecondition::at(0).skip == 0);
  CHECK(EdmPrecondition::at(0).out == 0.5);
}

TEST_CASE("a preconditioned model adds its input and its output by sample") {
  backend::Reference reference;
  Workspace workspace(reference);
  Run<backend::Reference, double> run(workspace, nullptr);
  const std::vector<double> values{1, 2, 3, 4}, times{0.25, 0.5};
  const std::vector<int> labels{0, 0};
  const auto z = ops::input<Shape<dynamic, 2>>(run, std::span<const double>(values));
  const auto x = Preconditioned<Identity, LinearPrecondition>{}(run, z, times, labels);
  std::vector<double> out(4);
  ops::output(run, x, std::span(out));
  CHECK(out == values);  // t z + (1 - t) z
  const auto y = Preconditioned<Identity, EdmPrecondition>{}(run, z, times, labels);
  ops::output(run, y, std::span(out));
  for (std::size_t i = 0; i < 4; ++i) {
    const SkipAndOut c = EdmPrecondition::at(times[i / 2]);
    CHECK(out[i] == doctest::Approx((c.skip + c.out) * values[i]).epsilon(1e-12));
  }
}
