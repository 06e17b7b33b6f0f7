// Effective rank: published values, what it must not depend on, and the signs of a collapse.
#include <sfumato/metrics/effective_rank.hpp>

#include "check_error.hpp"
#include "support.hpp"

#include <Eigen/QR>

#include <array>
#include <cmath>

using namespace metrics_test;
using namespace sfumato::metrics;
using Eigen::MatrixXd;

TEST_CASE("effective number: by singular values and by their squares") {
  const auto both = [](std::vector<double> s, double plain, double squared) {
    CHECK(effective_number(s) == doctest::Approx(plain).epsilon(1e-6));
    for (double& v : s) v *= v;
    CHECK(effective_number(s) == doctest::Approx(squared).epsilon(1e-6));
  };
  both({3, 2, 1}, 2.749459, 2.294401);
  both({1, 1, 1, 1}, 4, 4);
  both({1, 0, 0}, 1, 1);
  both({10, 1, 0.1, 0.01}, 1.433591, 1.058198);
  CHECK(effective_number(std::vector<double>{0, 0}) == 0);
}

TEST_CASE("rank signs of a known spectrum, however it is turned and moved, added at once or in parts") {
  // Orthonormal columns of mean 0, scaled: the covariance's eigenvalues are known.
  const sfumato::Index n = 64, channels = 3;
  MatrixXd raw = normals(n, channels, 7);
  raw.rowwise() -= raw.colwise().mean().eval();
  const MatrixXd q = MatrixXd(raw.householderQr().householderQ()).leftCols(channels) * std::sqrt(double(n));
  const Eigen::Vector3d deviations(3, 2, 1);
  const MatrixXd turn = normals(channels, channels, 8).householderQr().householderQ();
  const MatrixXd x = (q * deviations.asDiagonal() * turn).rowwise() + Eigen::RowVector3d(1e4, -1e4, 5);
  const RankSigns at_once = rank_signs(x);
  CHECK(at_once.singular_values == doctest::Approx(2.749459).epsilon(1e-6));
  CHECK(at_once.eigenvalues == doctest::Approx(2.294401).epsilon(1e-6));
  CHECK(at_once.rms == doctest::Approx(std::sqrt(14.0 / 3)).epsilon(1e-9));
  CHECK(at_once.uncentred < 1.001);  // all of it is where the mean is
  RankSums parts(channels);
  for (sfumato::Index i = 0; i < n; i += 16) parts.add(x.middleRows(i, 16));
  CHECK(parts.samples() == n);
  CHECK(parts.signs().eigenvalues == doctest::Approx(at_once.eigenvalues).epsilon(1e-9));
  CHECK(parts.signs().largest_deviation == doctest::Approx(at_once.largest_deviation).epsilon(1e-9));
}

TEST_CASE("a representation that shrinks to one point keeps its centred rank: the other signs tell") {
  MatrixXd x = 0.01 * normals(500, 8, 1);
  x.array() += 1;
  const RankSigns s = rank_signs(x);
  CHECK(s.eigenvalues > 7.5);
  CHECK(s.uncentred < 1.01);
  CHECK(s.rms < 0.02);
  MatrixXd one = MatrixXd::Zero(500, 8);
  one.col(3) = normals(500, 1, 2);
  CHECK(rank_signs(one).eigenvalues == doctest::Approx(1).epsilon(1e-9));
  CHECK(rank_signs(one).smallest_deviation == 0);
}

TEST_CASE("effective rank refuses what has none") {
  check_error([] { rank_signs(MatrixXd(normals(1, 3, 1))); }, "metric-samples", {"1 samples"});
  RankSums sums(3);
  check_error([&] { sums.add(normals(4, 2, 1)); }, "metric-width", {"2 channels", "3"});
  MatrixXd bad = normals(4, 3, 1);
  bad(2, 1) = std::nan("");
  check_error([&] { sums.add(bad); }, "metric-finite", {"row 2"});
}
