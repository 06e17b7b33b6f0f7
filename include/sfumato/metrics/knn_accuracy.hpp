// What a representation knows of labels, as its neighbours tell: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, section 3.4, with
// DINO's defaults (Caron et al. 2021, arXiv 2104.14294).
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/metrics/features.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

SFUMATO_BEGIN
namespace metrics {

/// Options of `knn_accuracy`.
struct KnnOptions {
  Index neighbours = 20;
  double temperature = 0.07;  ///< a neighbour's vote weighs exp(cosine / temperature)
};

/// Share of the test samples whose label the nearest of the others, by cosine, vote for: (samples, width) each. Of equals the earlier neighbour and the smaller label count.
/// Throws `metric-width`, `metric-finite`, `metric-samples` where there are no labels for the rows or too few neighbours, and `metric-options`.
template <class A, class B>
double knn_accuracy(const Eigen::MatrixBase<A>& train, std::span<const int> train_labels, const Eigen::MatrixBase<B>& test, std::span<const int> test_labels, const KnnOptions& options = {}) {
  check(train.cols() == test.cols() && train.cols() > 0, "metric-width", "features of ", train.cols(), " and ", test.cols(), " channels, expected one width");
  check(Index(train_labels.size()) == train.rows() && Index(test_labels.size()) == test.rows() && test.rows() > 0, "metric-samples", train_labels.size(), " and ", test_labels.size(), " labels of ", train.rows(),
        " and ", test.rows(), " samples, expected one for each, and a sample to test");
  check(options.neighbours > 0 && options.neighbours <= train.rows(), "metric-samples", options.neighbours, " neighbours of ", train.rows(), " samples");
  check(std::isfinite(options.temperature) && options.temperature > 0, "metric-options", "the temperature must be finite and positive, found ", options.temperature);
  detail::check_finite(train, "the training features");
  detail::check_finite(test, "the test features");
  for (const auto labels : {train_labels, test_labels})
    check(*std::min_element(labels.begin(), labels.end()) >= 0, "metric-samples", "a label is ", *std::min_element(labels.begin(), labels.end()), ", expected none below 0");
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto unit = [](const auto& x) -> Rows { return x.template cast<float>().rowwise().normalized(); };
  const Rows known = unit(train);
  const auto classes = std::size_t(*std::max_element(train_labels.begin(), train_labels.end())) + 1;
  const auto k = std::size_t(options.neighbours);
  std::vector<Index> order(static_cast<std::size_t>(train.rows()));
  std::vector<double> votes(classes);
  Index right = 0;
  constexpr Index block = 256;
  for (Index first = 0; first < test.rows(); first += block) {
    const Rows cosines = unit(test.middleRows(first, std::min(block, test.rows() - first))) * known.transpose();
    for (Index row = 0; row < cosines.rows(); ++row) {
      std::iota(order.begin(), order.end(), Index{0});
      std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(k), order.end(), [&](Index a, Index b) { return cosines(row, a) != cosines(row, b) ? cosines(row, a) > cosines(row, b) : a < b; });
      std::fill(votes.begin(), votes.end(), 0.0);
      for (std::size_t i = 0; i < k; ++i) votes[std::size_t(train_labels[std::size_t(order[i])])] += std::exp((double(cosines(row, order[i])) - double(cosines(row, order[0]))) / options.temperature);
      right += std::max_element(votes.begin(), votes.end()) - votes.begin() == test_labels[std::size_t(first + row)];
    }
  }
  return double(right) / double(test.rows());
}

}  // namespace metrics
SFUMATO_END
