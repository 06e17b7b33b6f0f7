// Samplers on data whose velocity is known: N(1, 0.5^2), one number. What they draw is Gaussian too; its mean and deviation follow from
// what each step makes of a number, and are those of independent code in f64.
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace sfumato;

namespace {

using B = backend::Reference;
using S = Shape<dynamic, 1>;

/// Velocity of z at time t, 1 being data.
struct Known {
  static constexpr double mean = 1, deviation = 0.5;
  template <class Ctx, AnyValue Z> Z operator()(Ctx& ctx, const Z& z, double t) const {
    const double noise = 1 - t, variance = t * t * deviation * deviation + noise * noise;
    const double slope = -(noise - t * deviation * deviation) / variance;
    const std::vector<double> offset(std::size_t(z.batch), mean - slope * t * mean);
    return ops::combine(ctx, slope, z, 1, ops::input<S>(ctx, std::span<const double>(offset)));
  }
};
struct Law {
  double mean = 0, deviation = 1;
};
/// Of what a solver makes of N(0, 1): each step's slope, offset and noise are read off from three numbers.
template <class Method, class Grid> Law drawn(int steps) {
  B device;
  Workspace<B> workspace(device);
  Run<B, double> run(workspace, nullptr);
  const SampleNoise noise{9, 4};
  Law law;
  for (int i = 0; i < steps; ++i) {
    const TimeStep at{i, steps, Grid::time(i, steps), Grid::time(i + 1, steps)};
    const auto one_step = [&](const std::vector<double>& z) {
      using Z = decltype(ops::input<S>(run, std::span<const double>(z)));
      using Solver = typename Method::template Solver<Z>;
      Solver solver = [&] {
        if constexpr (requires { Solver{noise}; }) return Solver{noise};
        else return Solver{};
      }();
      std::vector<double> out(z.size());
      ops::output(run, solver.step(run, ops::input<S>(run, std::span<const double>(z)), at, [&](const auto& v, double t) { return Known{}(run, v, t); }), std::span(out));
      return out;
    };
    const auto from_zero = one_step({0, 0}), from_one = one_step({1, 1});
    const Random random{noise.seed, Stream::sample, std::uint32_t(i + 1)};
    const double xi = random.normal(4), other = random.normal(5), gain = (from_zero[0] - from_zero[1]) / (xi - other);
    const double slope = from_one[0] - from_zero[0], offset = from_zero[0] - gain * xi;
    law = {slope * law.mean + offset, std::sqrt(slope * slope * law.deviation * law.deviation + gain * gain)};
  }
  return law;
}
template <class Method, class Grid> void check_law(int steps, double deviation, double mean_within) {
  const Law law = drawn<Method, Grid>(steps);
  INFO(steps << " steps: mean " << law.mean << ", deviation " << law.deviation << ", expected " << deviation);
  CHECK(std::abs(law.deviation - deviation) < 1e-9);
  CHECK(std::abs(law.mean - 1) < mean_within);
}

}  // namespace

TEST_CASE("Euler-Maruyama") {
  check_law<EulerMaruyama<>, LastStepGrid<>>(25, 0.4895428848, 1e-12);
  check_law<EulerMaruyama<>, LastStepGrid<>>(50, 0.4920546895, 1e-12);
  check_law<EulerMaruyama<>, LastStepGrid<>>(250, 0.4943431060, 1e-12);
}

TEST_CASE("Euler and Heun") {
  check_law<Euler, UniformGrid>(25, 0.4712013783, 1e-12);
  check_law<Euler, UniformGrid>(50, 0.4853967383, 1e-12);
  check_law<Euler, UniformGrid>(250, 0.4970452435, 1e-12);
  check_law<Heun, UniformGrid>(25, 0.4986731008, 1e-12);
  check_law<Heun, UniformGrid>(50, 0.4996809050, 1e-12);
  check_law<Heun, UniformGrid>(250, 0.4999876467, 1e-12);
}

TEST_CASE("the last step is of 0.04, the others of equal size") {
  CHECK(LastStepGrid<>::time(0, 1) == 0);
  CHECK(LastStepGrid<>::time(1, 1) == 1);
  CHECK(LastStepGrid<>::time(0, 250) == 0);
  CHECK(LastStepGrid<>::time(249, 250) == doctest::Approx(0.96).epsilon(1e-15));
  CHECK(LastStepGrid<>::time(250, 250) == 1);
  int guided = 0;  // with the published interval: 211 of 250
  for (int i = 0; i < 250; ++i) guided += SamplerOptions{.guidance = 2.3, .guidance_low = 0.15}.guidance_at(LastStepGrid<>::time(i, 250)) != 1;
  CHECK(guided == 211);
}
