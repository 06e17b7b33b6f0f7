// Improved precision and recall: Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative
// Models", 2019, eq. 1 and 2.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/metrics/features.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

SFUMATO_BEGIN
namespace metrics {

struct PrecisionRecall {
  double precision;  ///< the share of generated samples within the manifold of the real ones
  double recall;     ///< the share of real samples within the manifold of the generated ones
};

namespace detail {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A set of points whose pairwise squared distances come block by block, by matrix products.
struct PointSet {
  Rows points;            // (samples, width)
  Eigen::VectorXd norms;  // (samples), squared

  explicit PointSet(Rows centred) : points(std::move(centred)), norms(points.rowwise().squaredNorm()) {
    check(norms.sum() < std::numeric_limits<double>::max() / 4, "metric-finite",
          "features are too large to be squared");
  }

  Index size() const { return points.rows(); }
  double exact(Index i, const PointSet& other, Index j) const {
    return (points.row(i) - other.points.row(j)).squaredNorm();
  }
};

/// Calls visit(i, distances, error) for each i of `a`: distances[j] is |a_i - b_j|^2 within `error`.
/// |a|^2 + |b|^2 - 2 ab is fast but not exact, so callers decide close calls by PointSet::exact.
template <class Visit> void for_each_row_of_distances(const PointSet& a, const PointSet& b, Visit&& visit) {
  constexpr Index block = 256;
  const double epsilon = 4 * double(a.points.cols() + 4) * std::numeric_limits<double>::epsilon();
  const double largest = b.norms.maxCoeff();
  Rows distances;  // (block, b.size())
  for (Index first = 0; first < a.size(); first += block) {
    const Index rows = std::min(block, a.size() - first);
    distances.noalias() = -2 * a.points.middleRows(first, rows) * b.points.transpose();
    for (Index r = 0; r < rows; ++r) {
      distances.row(r).array() += a.norms[first + r] + b.norms.transpose().array();
      visit(first + r, distances.row(r), epsilon * (a.norms[first + r] + largest));
    }
  }
}

/// Squared distance of each point to its k-th nearest neighbour, itself not counted.
inline Eigen::VectorXd squared_radii(const PointSet& set, Index k) {
  Eigen::VectorXd radii(set.size());
  std::vector<double> nearest;  // the k smallest distances so far, a heap with the largest in front
  std::vector<double> close;
  for_each_row_of_distances(set, set, [&](Index i, const auto& distances, double error) {
    nearest.assign(static_cast<std::size_t>(k), std::numeric_limits<double>::infinity());
    for (Index j = 0; j < set.size(); ++j) {
      if (j == i || !(distances[j] < nearest.front())) continue;
      std::pop_heap(nearest.begin(), nearest.end());
      nearest.back() = distances[j];
      std::push_heap(nearest.begin(), nearest.end());
    }
    const double bound = nearest.front() + 2 * error;  // whoever may be the k-th is below it
    close.clear();
    for (Index j = 0; j < set.size(); ++j)
      if (j != i && distances[j] <= bound) close.push_back(set.exact(i, set, j));
    std::nth_element(close.begin(), close.begin() + (k - 1), close.end());
    radii[i] = close[static_cast<std::size_t>(k - 1)];
  });
  return radii;
}

/// The share of `samples` within the ball of at least one of `centres`.
inline double coverage(const PointSet& samples, const PointSet& centres, const Eigen::VectorXd& radii) {
  Index inside = 0;
  for_each_row_of_distances(samples, centres, [&](Index i, const auto& distances, double error) {
    for (Index j = 0; j < centres.size(); ++j) {
      const double margin = distances[j] - radii[j];
      if (margin > error || (margin > -error && samples.exact(i, centres, j) > radii[j])) continue;
      ++inside;
      return;
    }
  });
  return double(inside) / double(samples.size());
}

}  // namespace detail

/// Precision and recall of `generated` against `real` features, (samples, width) each. A set's manifold is the union of
/// the balls around its points that reach to the point's k-th nearest neighbour. The time is quadratic in the samples,
/// the memory linear. Throws `metric-samples` unless there are more than k of each, `metric-width`, `metric-finite`.
template <class MatrixR, class MatrixG> PrecisionRecall precision_recall(const Eigen::MatrixBase<MatrixR>& real,
                                                                         const Eigen::MatrixBase<MatrixG>& generated,
                                                                         Index k = 3) {
  check(real.cols() == generated.cols() && real.cols() > 0, "metric-width", "features are ", real.cols(), " and ",
        generated.cols(), " wide");
  check(k >= 1 && real.rows() > k && generated.rows() > k, "metric-samples", real.rows(), " and ", generated.rows(),
        " samples with k = ", k);
  detail::check_finite(real, "real features");
  detail::check_finite(generated, "generated features");
  // Small norms make the products precise. The same shift for both, so equal points stay equal.
  const Eigen::RowVectorXd centre = real.template cast<double>().colwise().mean();
  const detail::PointSet r(real.template cast<double>().rowwise() - centre);
  const detail::PointSet g(generated.template cast<double>().rowwise() - centre);
  return {detail::coverage(g, r, detail::squared_radii(r, k)), detail::coverage(r, g, detail::squared_radii(g, k))};
}

}  // namespace metrics
SFUMATO_END
