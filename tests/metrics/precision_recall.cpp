// Improved precision and recall: small sets by hand, larger ones against the definition.
#include <sfumato/metrics/precision_recall.hpp>

#include "support.hpp"

#include <algorithm>
#include <limits>
#include <vector>

using namespace metrics_test;
using namespace sfumato::metrics;
using Eigen::MatrixXd, Eigen::MatrixXf;

namespace {

/// Points on a line.
MatrixXd line(std::initializer_list<double> values) {
  return Eigen::Map<const MatrixXd>(values.begin(), static_cast<Eigen::Index>(values.size()), 1);
}

void check_scores(const PrecisionRecall& found, double precision, double recall) {
  CHECK(found.precision == precision);
  CHECK(found.recall == recall);
}

/// The definition, without any haste.
double naive_coverage(const MatrixXd& samples, const MatrixXd& centres, Eigen::Index k) {
  std::vector<bool> inside(static_cast<std::size_t>(samples.rows()));
  for (Eigen::Index j = 0; j < centres.rows(); ++j) {
    std::vector<double> others;
    for (Eigen::Index n = 0; n < centres.rows(); ++n)
      if (n != j) others.push_back((centres.row(j) - centres.row(n)).squaredNorm());
    std::sort(others.begin(), others.end());
    for (Eigen::Index i = 0; i < samples.rows(); ++i)
      if ((samples.row(i) - centres.row(j)).squaredNorm() <= others[static_cast<std::size_t>(k - 1)])
        inside[static_cast<std::size_t>(i)] = true;
  }
  return double(std::count(inside.begin(), inside.end(), true)) / double(samples.rows());
}

}  // namespace

TEST_CASE("identical sets") {
  const MatrixXf x = normals(600, 16, 1).cast<float>();
  check_scores(precision_recall(x, x), 1, 1);
  check_scores(precision_recall(x, x.colwise().reverse()), 1, 1);
}

TEST_CASE("disjoint sets") {
  const MatrixXd x = normals(100, 4, 2);
  check_scores(precision_recall(x, shifted(x, 100)), 0, 0);
}

TEST_CASE("points on a line, k = 1") {
  const MatrixXd real = line({0, 1, 2, 3});             // radii 1 1 1 1
  const MatrixXd generated = line({1.5, 3.5, 10, 20});  // radii 2 2 6.5 10
  check_scores(precision_recall(real, generated, 1), 0.5, 1);
  check_scores(precision_recall(generated, real, 1), 1, 0.5);
}

TEST_CASE("points on a line, k = 2") {
  const MatrixXd real = line({0, 1, 10, 11});         // radii 10 9 9 10
  const MatrixXd generated = line({20, 21, 22, 30});  // radii 2 1 2 9
  check_scores(precision_recall(real, generated, 2), 0.5, 0);
}

TEST_CASE("the surface of a ball belongs to it") {
  const MatrixXd real = line({0, 1, 2, 3}), generated = line({4, -1, 4.0000001, -1.0000001});
  CHECK(precision_recall(real, generated, 1).precision == 0.5);
}

TEST_CASE("a generator that repeats one sample has precision but no recall") {
  const MatrixXd real = line({0, 0.1, 0.2, 0.3}), generated = line({0.1, 0.1, 0.1, 0.1, 0.1});
  check_scores(precision_recall(real, generated, 3), 1, 0.25);  // balls of radius 0 hold the sample itself
}

TEST_CASE("the same as the definition says, in whatever blocks and wherever the sets are") {
  for (const double offset : {0.0, 1e4}) {
    const MatrixXd real = shifted(normals(300, 3, 3), offset), generated = shifted(1.3 * normals(270, 3, 4), offset);
    for (const int k : {1, 3, 5}) {
      const PrecisionRecall found = precision_recall(real, generated, k);
      check_scores(found, naive_coverage(generated, real, k), naive_coverage(real, generated, k));
      CHECK(found.precision < 1);
      CHECK(found.precision > 0.3);
    }
  }
}

TEST_CASE("errors of precision and recall") {
  const MatrixXd x = normals(10, 3, 5);
  check_error("metric-samples", [&] { precision_recall(x, x.topRows(3)); });
  check_error("metric-samples", [&] { precision_recall(x.topRows(3), x); });
  check_error("metric-samples", [&] { precision_recall(x, x, 0); });
  check_error("metric-width", [&] { precision_recall(x, x.leftCols(2)); });
  check_error("metric-finite", [&] { precision_recall(x, x * 1e200); });
  MatrixXd bad = x;
  bad(4, 1) = std::numeric_limits<double>::quiet_NaN();
  check_error("metric-finite", [&] { precision_recall(bad, x); });
}
