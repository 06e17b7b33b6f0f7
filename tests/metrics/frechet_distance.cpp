// The Frechet distance against closed forms.
#include <sfumato/metrics/frechet_distance.hpp>

#include "support.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace metrics_test;
using namespace sfumato::metrics;
using Eigen::Matrix2d, Eigen::MatrixXd, Eigen::Vector2d, Eigen::VectorXd;

TEST_CASE("Gaussians that differ in their means") {
  const MatrixXd x = normals(50, 7, 1);
  const MatrixXd covariance = x.transpose() * x;
  const VectorXd shift = VectorXd::LinSpaced(7, -1, 2);
  const double distance = frechet_distance(Gaussian{VectorXd::Zero(7), covariance}, Gaussian{shift, covariance});
  check_close(distance, shift.squaredNorm(), 1e-10);
}

TEST_CASE("Gaussians with diagonal covariances") {
  const VectorXd a = VectorXd::LinSpaced(5, 0, 4), b = VectorXd::LinSpaced(5, 9, 1);  // variances, one of them zero
  const Gaussian left{VectorXd::Constant(5, 1), a.asDiagonal()}, right{VectorXd::Constant(5, 3), b.asDiagonal()};
  const double expected = 5 * 4.0 + (a.cwiseSqrt() - b.cwiseSqrt()).squaredNorm();
  check_close(frechet_distance(left, right), expected, 1e-12);
  check_close(frechet_distance(right, left), expected, 1e-12);
}

TEST_CASE("Gaussians whose covariances do not commute") {
  // For 2 x 2 matrices tr(M^(1/2)) = (tr M + 2 det(M)^(1/2))^(1/2).
  const Matrix2d a{{2, 0.5}, {0.5, 1}}, b{{1, -0.7}, {-0.7, 3}};
  const double trace_of_root = std::sqrt((a * b).trace() + 2 * std::sqrt((a * b).determinant()));
  const Gaussian left{Vector2d(1, 2), a}, right{Vector2d(0, 4), b};
  check_close(frechet_distance(left, right), 5 + a.trace() + b.trace() - 2 * trace_of_root, 1e-12);
}

TEST_CASE("feature sets: the same, shifted, scaled") {
  const MatrixXd x = normals(500, 6, 2);  // (samples, width)
  check_close(frechet_distance(x, x), 0, 1e-10);
  const VectorXd shift = VectorXd::LinSpaced(6, 0, 1);
  check_close(frechet_distance(x, x.rowwise() + shift.transpose()), shift.squaredNorm(), 1e-10);
  const Gaussian fit = fit_gaussian(x);
  check_close(frechet_distance(x, 2 * x), fit.mean.squaredNorm() + fit.covariance.trace(), 1e-10);
}

TEST_CASE("fewer samples than features") {
  const MatrixXd x = normals(5, 40, 3);
  check_close(frechet_distance(x, x), 0, 1e-5);  // rounding, e, of zero eigenvalues enters as sqrt(e)
  check_close(frechet_distance(x, shifted(x, 1)), 40, 1e-5);
}

TEST_CASE("mean and covariance, unbiased") {
  const std::vector<float> values{1, 2, 3, 6, 5, 4};
  const Gaussian fit = fit_gaussian(rows_of(values, 2));  // (1, 2), (3, 6), (5, 4)
  CHECK(fit.mean == Vector2d(3, 4));
  CHECK(fit.covariance == Matrix2d{{4, 2}, {2, 4}});
}

TEST_CASE("batches give the Gaussian of the whole, also far from zero") {
  const MatrixXd x = shifted(normals(3000, 4, 4), 1e6);
  GaussianFit fit(4);
  for (const auto& [first, count] : {std::pair{0, 1}, {1, 1999}, {2000, 0}, {2000, 1000}})
    fit.add(x.middleRows(first, count));
  CHECK(fit.count() == 3000);
  const MatrixXd centred = x.rowwise() - x.colwise().mean();
  const MatrixXd covariance = centred.transpose() * centred / 2999;
  CHECK((fit.gaussian().covariance - covariance).cwiseAbs().maxCoeff() < 1e-8);
  CHECK((fit.gaussian().mean.transpose() - x.colwise().mean()).cwiseAbs().maxCoeff() < 1e-8);
}

TEST_CASE("floats and doubles give the same distance") {
  const MatrixXd a = normals(64, 3, 5).cast<float>().cast<double>(), b = normals(32, 3, 6).cast<float>().cast<double>();
  CHECK(frechet_distance(a.cast<float>(), b.cast<float>()) == frechet_distance(a, b));
}

TEST_CASE("errors of the Frechet distance") {
  const MatrixXd x = normals(10, 3, 7);
  check_error("metric-samples", [&] { frechet_distance(x, x.topRows(1)); });
  check_error("metric-samples", [&] { frechet_distance(x, x.topRows(0)); });
  check_error("metric-width", [&] { frechet_distance(x, x.leftCols(2)); });
  check_error("metric-width", [&] { GaussianFit(3).add(x.leftCols(2)); });
  check_error("metric-width", [&] { GaussianFit(0); });
  check_error("metric-width", [&] { frechet_distance(fit_gaussian(x), fit_gaussian(x.leftCols(2))); });
  check_error("metric-width", [] { rows_of(std::vector<float>(7), 2); });
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    MatrixXd y = x;
    y(9, 2) = bad;
    check_error("metric-finite", [&] { frechet_distance(x, y); });
  }
  check_error("metric-finite", [&] { frechet_distance(x, x * 1e200); });  // the covariance overflows
}

TEST_CASE("spatial features are the first channels of maps") {
  MatrixXd maps(2, 6);  // three channels of two places
  maps << 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12;
  MatrixXd two(2, 4);
  two << 1, 2, 3, 4, 7, 8, 9, 10;
  CHECK(spatial_features(maps, 3, 2) == two);
  check_error([&] { spatial_features(maps, 4, 2); }, "metric-width", {"6 wide", "4 channels"});
  check_error([&] { spatial_features(maps, 3, 4); }, "metric-width", {"4 of 3"});
}
