// The inception score: Salimans et al., "Improved Techniques for Training GANs", 2016, section 4.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/metrics/features.hpp>

#include <Eigen/Core>

#include <cmath>

SFUMATO_BEGIN
namespace metrics {

struct InceptionScore {
  double mean;       ///< over the splits
  double deviation;  ///< over the splits: the root of the mean squared difference from `mean`
};

/// exp(mean_x KL(p(y|x) || p(y))) for each of `splits` consecutive parts of `probabilities`, (samples, classes):
/// a classifier's softmax, each row a distribution. p(y) is the mean over the part. 1 is the least, the number of
/// classes the most. Throws `metric-samples`, `metric-finite` and `metric-probabilities`.
template <class Matrix>
InceptionScore inception_score(const Eigen::MatrixBase<Matrix>& probabilities, Index splits = 10) {
  const Index samples = probabilities.rows(), classes = probabilities.cols();
  check(classes >= 1, "metric-width", "no classes");
  check(splits >= 1 && samples >= splits, "metric-samples", samples, " samples in ", splits, " splits");
  detail::check_finite(probabilities, "probabilities");
  for (Index row = 0; row < samples; ++row) {
    const double sum = probabilities.row(row).template cast<double>().sum();
    check(double(probabilities.row(row).minCoeff()) >= 0 && std::abs(sum - 1) < 1e-3, "metric-probabilities", "row ",
          row, " is not a distribution: its sum is ", sum, ", its least value ",
          double(probabilities.row(row).minCoeff()));
  }

  Eigen::ArrayXd scores(splits);
  for (Index split = 0; split < splits; ++split) {
    const Index first = split * samples / splits, last = (split + 1) * samples / splits;
    const Eigen::ArrayXd marginal =  // (classes)
        probabilities.middleRows(first, last - first).template cast<double>().colwise().mean().transpose();
    double sum = 0;
    for (Index row = first; row < last; ++row)
      for (Index c = 0; c < classes; ++c)
        if (const auto p = double(probabilities(row, c)); p > 0) sum += p * std::log(p / marginal[c]);
    scores[split] = std::exp(sum / double(last - first));
  }
  return {scores.mean(), std::sqrt((scores - scores.mean()).square().mean())};
}

}  // namespace metrics
SFUMATO_END
