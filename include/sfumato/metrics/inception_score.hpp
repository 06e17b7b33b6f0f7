// The inception score: Salimans et al., "Improved Techniques for Training GANs", 2016, section 4.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/metrics/features.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <cmath>

SFUMATO_BEGIN
namespace metrics {

struct InceptionScore {
  double mean;       ///< over the splits
  double deviation;  ///< over the splits: the root of the mean squared difference from `mean`
};

namespace detail {

/// Of `parts` consecutive parts, the i-th from row begin(i) to begin(i + 1).
template <class Matrix, class Begin> InceptionScore inception_score_of(const Eigen::MatrixBase<Matrix>& probabilities, Index parts, const Begin& begin) {
  const Index samples = probabilities.rows(), classes = probabilities.cols();
  check(classes >= 1, "metric-width", "no classes");
  check_finite(probabilities, "probabilities");
  for (Index row = 0; row < samples; ++row) {
    const double sum = probabilities.row(row).template cast<double>().sum();
    check(double(probabilities.row(row).minCoeff()) >= 0 && std::abs(sum - 1) < 1e-3, "metric-probabilities", "row ",
          row, " is not a distribution: its sum is ", sum, ", its least value ",
          double(probabilities.row(row).minCoeff()));
  }

  Eigen::ArrayXd scores(parts);
  for (Index part = 0; part < parts; ++part) {
    const Index first = begin(part), last = begin(part + 1);
    const Eigen::ArrayXd marginal =  // (classes)
        probabilities.middleRows(first, last - first).template cast<double>().colwise().mean().transpose();
    double sum = 0;
    for (Index row = first; row < last; ++row)
      for (Index c = 0; c < classes; ++c)
        if (const auto p = double(probabilities(row, c)); p > 0) sum += p * std::log(p / marginal[c]);
    scores[part] = std::exp(sum / double(last - first));
  }
  return {scores.mean(), std::sqrt((scores - scores.mean()).square().mean())};
}

}  // namespace detail

/// exp(mean_x KL(p(y|x) || p(y))) for each of `splits` consecutive parts of `probabilities`, (samples, classes):
/// a classifier's softmax, each row a distribution. p(y) is the mean over the part. 1 is the least, the number of
/// classes the most. Throws `metric-samples`, `metric-finite` and `metric-probabilities`.
template <class Matrix>
InceptionScore inception_score(const Eigen::MatrixBase<Matrix>& probabilities, Index splits = 10) {
  const Index samples = probabilities.rows();
  check(splits >= 1 && samples >= splits, "metric-samples", samples, " samples in ", splits, " splits");
  return detail::inception_score_of(probabilities, splits, [&](Index split) { return split * samples / splits; });
}
/// The same of parts of `size` samples, the last of what is left, which counts as much as the others: the rule of ADM's evaluator (Dhariwal and Nichol
/// 2021), whose parts are of 5000.
template <class Matrix> InceptionScore inception_score_in_parts(const Eigen::MatrixBase<Matrix>& probabilities, Index size = 5000) {
  const Index samples = probabilities.rows();
  check(size >= 1 && samples >= 1, "metric-samples", samples, " samples in parts of ", size);
  return detail::inception_score_of(probabilities, (samples + size - 1) / size, [&](Index part) { return std::min(part * size, samples); });
}

}  // namespace metrics
SFUMATO_END
