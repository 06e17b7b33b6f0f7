// CKNNA: what it must not depend on, what it refuses. (Published figures: golden/metrics.cpp.)
#include <sfumato/metrics/cknna.hpp>

#include "check_error.hpp"
#include "support.hpp"

#include <Eigen/QR>

#include <cmath>

using namespace metrics_test;
using namespace sfumato::metrics;
using Eigen::MatrixXd;

TEST_CASE("CKNNA of a representation with itself is 1, and turning one changes nothing") {
  const MatrixXd x = normals(60, 5, 1), y = normals(60, 7, 2);
  const MatrixXd turn = normals(5, 5, 3).householderQr().householderQ();
  for (const CknnaForm form : {CknnaForm::equations, CknnaForm::unbiased}) {
    CHECK(cknna(x, x, 8, form) == doctest::Approx(1).epsilon(1e-6));
    CHECK(cknna(x * turn, y, 8, form) == doctest::Approx(cknna(x, y, 8, form)).epsilon(1e-9));
    CHECK(cknna(x, y, 8, form) == doctest::Approx(cknna(y, x, 8, form)).epsilon(form == CknnaForm::equations ? 1e-12 : 0.01));  // neighbours are not mutual
    CHECK(std::abs(cknna(x, y, 8, form)) < 0.5);
  }
}

TEST_CASE("features are clipped at a quantile of their magnitudes") {
  MatrixXd x(1, 5);
  x << 1, -2, 3, -4, 100;
  MatrixXd half(1, 5);
  half << 1, -2, 3, -3, 3;
  CHECK(clipped(x, 0.5) == half);
  CHECK(clipped(x, 1) == x);
}

TEST_CASE("CKNNA refuses what it cannot compare") {
  const MatrixXd x = normals(12, 3, 1);
  check_error([&] { cknna(x, normals(11, 3, 1), 3); }, "metric-samples", {"12", "11"});
  check_error([&] { cknna(x, x, 12); }, "metric-samples", {"12 samples with k = 12"});
  check_error([&] { cknna(x, x, 1); }, "metric-samples", {"k = 1"});
  MatrixXd bad = x;
  bad(4, 1) = std::nan("");
  check_error([&] { cknna(x, bad, 3); }, "metric-finite", {"second", "row 4"});
}
