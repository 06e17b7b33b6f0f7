// The inception score against closed forms.
#include <sfumato/metrics/inception_score.hpp>

#include "support.hpp"

#include <cmath>
#include <limits>

using namespace metrics_test;
using namespace sfumato::metrics;
using Eigen::MatrixXd, Eigen::MatrixXf;

namespace {

/// Sure of one class each, all classes in turn.
MatrixXd one_hot(Eigen::Index samples, Eigen::Index classes) {
  return MatrixXd::NullaryExpr(samples, classes,
                               [=](Eigen::Index i, Eigen::Index c) { return i % classes == c ? 1.0 : 0.0; });
}

}  // namespace

TEST_CASE("a classifier that sees nothing scores 1") {
  const InceptionScore score = inception_score(MatrixXf::Constant(100, 8, 0.125f));
  check_close(score.mean, 1, 1e-12);
  check_close(score.deviation, 0, 1e-12);
}

TEST_CASE("a sure classifier of balanced classes scores their number") {
  for (const int classes : {1, 2, 10}) {
    check_close(inception_score(one_hot(100, classes), 1).mean, classes, 1e-12);
    check_close(inception_score(one_hot(100, classes), 10).mean, classes, 1e-12);
  }
}

TEST_CASE("a sure classifier of one class scores 1") {
  MatrixXd probabilities = MatrixXd::Zero(20, 4);
  probabilities.col(2).setOnes();
  check_close(inception_score(probabilities, 2).mean, 1, 1e-12);
}

TEST_CASE("two samples by hand") {
  const MatrixXd probabilities{{1, 0}, {0.5, 0.5}};
  // p(y) = (3/4, 1/4); KL = log(4/3) and log(4/3) / 2
  check_close(inception_score(probabilities, 1).mean, std::pow(4.0 / 3, 0.75), 1e-12);
}

TEST_CASE("splits are consecutive and each has its own p(y)") {
  MatrixXd probabilities(8, 2);
  probabilities << MatrixXd::Constant(4, 2, 0.5), one_hot(4, 2);  // scores 1 and 2
  const InceptionScore score = inception_score(probabilities, 2);
  check_close(score.mean, 1.5, 1e-12);
  check_close(score.deviation, 0.5, 1e-12);
  check_close(inception_score(one_hot(7, 7), 7).mean, 1, 1e-12);
}

TEST_CASE("errors of the inception score") {
  const MatrixXd good = one_hot(10, 2);
  check_error("metric-samples", [&] { inception_score(good, 11); });
  check_error("metric-samples", [&] { inception_score(good, 0); });
  check_error("metric-samples", [&] { inception_score(good.topRows(0), 1); });
  check_error("metric-width", [] { inception_score(MatrixXd(5, 0), 1); });
  check_error("metric-probabilities", [&] { inception_score(2 * good, 1); });
  check_error("metric-probabilities", [] { inception_score(MatrixXd{{1.5, -0.5}}, 1); });
  MatrixXd bad = good;
  bad(3, 1) = std::numeric_limits<double>::quiet_NaN();
  check_error("metric-finite", [&] { inception_score(bad, 1); });
}
