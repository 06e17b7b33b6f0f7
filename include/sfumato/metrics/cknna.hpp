// CKNNA, how alike two representations are in whom they place near each other: Huh et al., "The Platonic Representation Hypothesis", 2024,
// appendix A; Yu et al., arXiv 2410.06940 (REPA), equations 22 to 24.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/metrics/features.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <vector>

SFUMATO_BEGIN
namespace metrics {

/// The two published forms, which differ in their numbers: REPA's equations (centred rows, masked, summed), and the code of Huh et al. (the unbiased
/// Hilbert-Schmidt independence criterion of masked inner products), which is what published figures most likely are of.
enum class CknnaForm { equations, unbiased };

namespace detail {

using Square = Eigen::MatrixXd;

/// 1 where column j is among the k of the largest inner products of row i, itself not counted; the first of equals.
inline Square nearest_mask(const Square& products, Index k) {
  const Index n = products.rows();
  Square mask = Square::Zero(n, n);
  std::vector<Index> others;
  for (Index i = 0; i < n; ++i) {
    others.clear();
    for (Index j = 0; j < n; ++j)
      if (j != i) others.push_back(j);
    std::partial_sort(others.begin(), others.begin() + k, others.end(), [&](Index p, Index q) { return products(i, p) != products(i, q) ? products(i, p) > products(i, q) : p < q; });
    for (Index j = 0; j < k; ++j) mask(i, others[static_cast<std::size_t>(j)]) = 1;
  }
  return mask;
}
/// The unbiased estimate of Song et al. 2012, for matrices with empty diagonals.
inline double unbiased_hsic(const Square& k, const Square& l) {
  const auto m = static_cast<double>(k.rows());
  const double trace = k.cwiseProduct(l.transpose()).sum(), sums = k.sum() * l.sum() / ((m - 1) * (m - 2));
  return (trace + sums - 2 / (m - 2) * k.colwise().sum().dot(l.rowwise().sum().transpose())) / (m * (m - 3));
}

}  // namespace detail

/// Alignment of two representations of the same samples, (samples, width) each, by `k` nearest neighbours: 1 for equal ones. Rows are compared by inner
/// products: scale them to length 1, and clip them first as Huh et al. do (`clipped`), if that is wanted. REPA takes 10,000 images, k = 10 and
/// the mean over patch tokens. Time and memory are quadratic in the samples. Throws `metric-samples`, `metric-finite`.
template <class MatrixA, class MatrixB>
double cknna(const Eigen::MatrixBase<MatrixA>& a, const Eigen::MatrixBase<MatrixB>& b, Index k = 10, CknnaForm form = CknnaForm::unbiased) {
  const Index n = a.rows();
  check(a.rows() == b.rows(), "metric-samples", "two representations of ", a.rows(), " and ", b.rows(), " samples");
  check(k >= (form == CknnaForm::unbiased ? 2 : 1) && n > k && n > 3, "metric-samples", n, " samples with k = ", k);
  detail::check_finite(a, "the first representation");
  detail::check_finite(b, "the second representation");
  const auto products = [](const auto& x) -> detail::Square {
    const Eigen::MatrixXd rows = x.template cast<double>();
    return rows * rows.transpose();
  };
  detail::Square of_a = products(a), of_b = products(b);
  const detail::Square mask_a = detail::nearest_mask(of_a, k), mask_b = detail::nearest_mask(of_b, k);
  if (form == CknnaForm::equations) {
    of_a.colwise() -= of_a.rowwise().mean().eval();
    of_b.colwise() -= of_b.rowwise().mean().eval();
    const auto align = [](const detail::Square& mask, const detail::Square& x, const detail::Square& y) { return mask.cwiseProduct(x).cwiseProduct(y).sum(); };
    return align(mask_a.cwiseProduct(mask_b), of_a, of_b) / std::sqrt(align(mask_a, of_a, of_a) * align(mask_b, of_b, of_b));
  }
  const auto align = [](const detail::Square& mask, const detail::Square& x, const detail::Square& y) -> double {
    return detail::unbiased_hsic(mask.cwiseProduct(x), mask.cwiseProduct(y));  // the masks' diagonals are empty
  };
  return align(mask_a.cwiseProduct(mask_b), of_a, of_b) / (std::sqrt(align(mask_a, of_a, of_a) * align(mask_b, of_b, of_b)) + 1e-6);
}

/// Features cut off at the `quantile` of all their magnitudes, by linear interpolation, so that a few large ones do not decide all. (Huh et al. clip at 0.95
/// too; their code has two ways to estimate where that is.)
template <class Matrix> Eigen::MatrixXd clipped(const Eigen::MatrixBase<Matrix>& features, double quantile = 0.95) {
  check(features.size() > 0 && quantile >= 0 && quantile <= 1, "metric-samples", features.size(), " values, clipped at the quantile ", quantile);
  detail::check_finite(features, "features");
  const Eigen::MatrixXd x = features.template cast<double>();
  std::vector<double> sizes(x.data(), x.data() + x.size());
  for (double& v : sizes) v = std::abs(v);
  std::sort(sizes.begin(), sizes.end());
  const double place = quantile * double(sizes.size() - 1);
  const auto below = static_cast<std::size_t>(place), above = std::min(below + 1, sizes.size() - 1);
  const double bound = std::lerp(sizes[below], sizes[above], place - double(below));
  return x.cwiseMax(-bound).cwiseMin(bound);
}

}  // namespace metrics
SFUMATO_END
