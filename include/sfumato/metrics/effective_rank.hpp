// How many dimensions a representation uses: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/metrics/features.hpp>

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <span>

SFUMATO_BEGIN
namespace metrics {

/// exp of the entropy of `weights`' shares: 1 where one of them has all, their number where they are equal. Negative ones count as 0. All 0: 0.
inline double effective_number(std::span<const double> weights) {
  double sum = 0, entropy = 0;
  for (const double w : weights) sum += std::max(w, 0.0);
  if (sum == 0) return 0;
  for (const double w : weights)
    if (w > 0) entropy -= w / sum * std::log(w / sum);
  return std::exp(entropy);
}

/// Of a representation (samples, channels), token vectors being samples.
struct RankSigns {
  double eigenvalues = 0;      ///< effective rank by the covariance's eigenvalues: a channel's share is of the variance
  double singular_values = 0;  ///< by the singular values of the centred matrix, as Roy and Vetterli have it: more for weak channels
  double uncentred = 0;        ///< by the eigenvalues of the second moments: near 1 where all samples shrink to one point, which centring would hide
  double rms = 0;              ///< root mean square of what is centred: it falls where the representation shrinks
  double smallest_deviation = 0, largest_deviation = 0;  ///< of one channel
};

/// Sums from which they are worked out: add rows as they come.
class RankSums {
 public:
  explicit RankSums(Index channels) : sum_(Eigen::VectorXd::Zero(channels)), products_(Eigen::MatrixXd::Zero(channels, channels)) {}

  Index samples() const { return samples_; }
  /// (samples, channels). Throws `metric-width`, `metric-finite`.
  template <class Matrix> void add(const Eigen::MatrixBase<Matrix>& rows) {
    check(rows.cols() == sum_.size(), "metric-width", "rows of ", rows.cols(), " channels, expected ", sum_.size());
    detail::check_finite(rows, "a representation");
    if (rows.rows() == 0) return;
    const Eigen::MatrixXd x = rows.template cast<double>();
    if (samples_ == 0) pivot_ = x.row(0).transpose();
    const Eigen::MatrixXd moved = x.rowwise() - pivot_.transpose();  // so that no large numbers cancel
    sum_ += moved.colwise().sum().transpose();
    products_.noalias() += moved.transpose() * moved;
    samples_ += x.rows();
  }
  /// Throws `metric-samples` before the second row.
  RankSigns signs() const {
    check(samples_ > 1, "metric-samples", "the rank of ", samples_, " samples");
    const auto n = static_cast<double>(samples_);
    const Eigen::VectorXd off = sum_ / n, mean = pivot_ + off;
    const Eigen::MatrixXd covariance = products_ / n - off * off.transpose(), moments = covariance + mean * mean.transpose();
    const auto eigenvalues = [](const Eigen::MatrixXd& m) -> Eigen::VectorXd { return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(m, Eigen::EigenvaluesOnly).eigenvalues().cwiseMax(0.0); };
    const auto number = [](const Eigen::VectorXd& v) { return effective_number({v.data(), static_cast<std::size_t>(v.size())}); };
    const Eigen::VectorXd spectrum = eigenvalues(covariance), variances = covariance.diagonal().cwiseMax(0.0);
    return {number(spectrum), number(spectrum.cwiseSqrt()), number(eigenvalues(moments)), std::sqrt(variances.mean()), std::sqrt(variances.minCoeff()), std::sqrt(variances.maxCoeff())};
  }

 private:
  Index samples_ = 0;
  Eigen::VectorXd pivot_, sum_;
  Eigen::MatrixXd products_;
};

/// The same of rows that are there at once.
template <class Matrix> RankSigns rank_signs(const Eigen::MatrixBase<Matrix>& rows) {
  RankSums sums(rows.cols());
  sums.add(rows);
  return sums.signs();
}

}  // namespace metrics
SFUMATO_END
