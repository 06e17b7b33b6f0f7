// The identities that DSD stands on, in f64 and by themselves: no model is in here.
#include <sfumato/base/random.hpp>
#include <sfumato/flow/space.hpp>
#include <sfumato/metrics/effective_rank.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

using namespace sfumato;

namespace {
double mean_square(const std::vector<double>& a) {
  double sum = 0;
  for (const double v : a) sum += v * v;
  return sum / double(a.size());
}
}  // namespace

TEST_CASE("the velocity's loss is the clean latent's, weighted by 1 / (1 - t)^2") {
  // v = (f - z_t) / (1 - t): with one latent on both branches, to the last digits.
  for (const double t : {0.0, 0.1, 0.5, 0.9, 0.949}) {
    std::vector<double> z(16), e(16), f(16), by_velocity(16), by_clean(16);
    for (std::size_t i = 0; i < 16; ++i) {
      z[i] = std::sin(double(i)), e[i] = std::cos(1.3 * double(i)), f[i] = std::sin(0.7 * double(i) + 1);
      const double z_t = t * z[i] + (1 - t) * e[i];
      const Conversion c = convert(Space::x, Space::v, t);
      by_velocity[i] = c.output * f[i] + c.z * z_t - (z[i] - e[i]);
      by_clean[i] = f[i] - z[i];
    }
    CHECK(mean_square(by_velocity) == doctest::Approx(loss_weight(Space::x, Space::v, t) * mean_square(by_clean)).epsilon(1e-12));
  }
}

TEST_CASE("latent variance suppression: the best denoiser's velocity loss on Gaussian latents is pi / 2 times the sum of their deviations") {
  // The part of the loss that no denoiser can take away, worked out for z ~ N(mu, s^2): it is, at time t, s^2 / (t^2 s^2 + (1 - t)^2).
  const auto loss = [](double s) {
    double sum = 0;
    const int n = 200'000;  // midpoints
    for (int i = 0; i < n; ++i) {
      const double t = (i + 0.5) / n;
      sum += s * s / (t * t * s * s + (1 - t) * (1 - t)) / n;
    }
    return sum;
  };
  const double half_pi = 1.57079632679489661923;
  for (const double s : {0.1, 0.5, 1.0, 3.0}) CHECK(loss(s) == doctest::Approx(half_pi * s).epsilon(1e-6));
  // By numbers drawn: ||v - (z - e)||^2 of the best f, E[z | z_t].
  const Random random{3, Stream::user, 0};
  double sum = 0;
  const std::array<double, 2> s{0.5, 2};
  const std::uint64_t n = 400'000;
  for (std::uint64_t i = 0; i < n; ++i) {
    const double t = (double(i) + 0.5) / double(n);
    for (std::uint64_t k = 0; k < 2; ++k) {
      const double z = 0.3 + s[k] * random.normal(4 * i + 2 * k), e = random.normal(4 * i + 2 * k + 1), z_t = t * z + (1 - t) * e;
      const double d = t * t * s[k] * s[k] + (1 - t) * (1 - t), f = 0.3 + t * s[k] * s[k] / d * (z_t - t * 0.3);
      const double v = (f - z_t) / (1 - t);
      sum += (v - (z - e)) * (v - (z - e)) / double(n);
    }
  }
  CHECK(sum == doctest::Approx(half_pi * (s[0] + s[1])).epsilon(0.01));
}

TEST_CASE("rank differentiation: clean latents are a low-pass filter of the target, velocities a high-pass one near the data") {
  // Covariance eigenvalues 4, 1, 1/4, 1/16 and the best denoiser: f has t^2 l^2 / D, v + e has t^2 l (l + 1) / D, D = t^2 l + (1 - t)^2.
  const std::array<double, 4> l{4, 1, 0.25, 0.0625};
  const auto rank = [&](double t, bool velocity, bool by_singular) {
    std::vector<double> out;
    for (const double v : l) {
      const double d = t * t * v + (1 - t) * (1 - t), e = t < 0 ? v : velocity ? t * t * v * (v + 1) / d : t * t * v * v / d;
      out.push_back(by_singular ? std::sqrt(e) : e);
    }
    return metrics::effective_number(out);
  };
  CHECK(rank(-1, false, true) == doctest::Approx(3.117).epsilon(2e-4));
  CHECK(rank(-1, false, false) == doctest::Approx(2.063).epsilon(3e-4));
  const struct { double t, f, v, f_squared, v_squared; } rows[] = {{0.25, 2.169, 2.679, 1.350, 1.599}, {0.5, 2.504, 3.117, 1.598, 2.063}, {0.75, 2.902, 3.597, 1.903, 2.785}, {0.9, 3.080, 3.774, 2.035, 3.176}};
  for (const auto& row : rows) {
    CHECK(rank(row.t, false, true) == doctest::Approx(row.f).epsilon(3e-4));
    CHECK(rank(row.t, true, true) == doctest::Approx(row.v).epsilon(3e-4));
    CHECK(rank(row.t, false, false) == doctest::Approx(row.f_squared).epsilon(4e-4));
    CHECK(rank(row.t, true, false) == doctest::Approx(row.v_squared).epsilon(4e-4));
  }
}
