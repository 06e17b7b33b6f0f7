// The Frechet distance between two Gaussians, fitted to features: FID with Inception's, FDD with DINOv2's.
// Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017,
// eq. 6; Dowson and Landau, "The Frechet distance between multivariate normal distributions", 1982.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/metrics/features.hpp>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <algorithm>

SFUMATO_BEGIN
namespace metrics {

struct Gaussian {
  Eigen::VectorXd mean;        // (width)
  Eigen::MatrixXd covariance;  // (width, width)
};

/// Mean and covariance of features that arrive in batches; sums in double whatever the features' type.
class GaussianFit {
 public:
  explicit GaussianFit(Index width) {
    check(width > 0, "metric-width", "features are ", width, " wide");
    mean_.setZero(width);
    scatter_.setZero(width, width);
  }

  /// `features`: (samples, width). Throws `metric-width` and `metric-finite`.
  template <class Matrix> void add(const Eigen::MatrixBase<Matrix>& features) {
    check(features.cols() == mean_.size(), "metric-width", "features are ", features.cols(), " wide, expected ",
          mean_.size());
    detail::check_finite(features, "features");
    constexpr Index block = 1024;  // rows copied to double at a time
    for (Index row = 0; row < features.rows(); row += block)
      merge(features.middleRows(row, std::min(block, features.rows() - row)).template cast<double>());
  }

  Index count() const { return count_; }

  /// The covariance is the unbiased one, divided by count - 1. Throws `metric-samples` below two samples.
  Gaussian gaussian() const {
    check(count_ >= 2, "metric-samples", "a covariance needs at least 2 samples, found ", count_);
    return {mean_, scatter_ / static_cast<double>(count_ - 1)};
  }

 private:
  // Chan, Golub and LeVeque 1979: sums of squares about the batch's own mean, so that no large numbers cancel.
  void merge(Eigen::MatrixXd batch) {  // (rows, width)
    const auto old_count = static_cast<double>(count_), rows = static_cast<double>(batch.rows());
    const Eigen::VectorXd batch_mean = batch.colwise().mean().transpose();
    const Eigen::VectorXd shift = batch_mean - mean_;
    batch.rowwise() -= batch_mean.transpose();
    scatter_.noalias() += batch.transpose() * batch;
    scatter_.noalias() += (old_count * rows / (old_count + rows)) * shift * shift.transpose();
    mean_ += shift * (rows / (old_count + rows));
    count_ += batch.rows();
  }

  Index count_ = 0;
  Eigen::VectorXd mean_;     // (width)
  Eigen::MatrixXd scatter_;  // (width, width): the sum of (x - mean)(x - mean)^T
};

/// The Gaussian of `features`: (samples, width).
template <class Matrix> Gaussian fit_gaussian(const Eigen::MatrixBase<Matrix>& features) {
  GaussianFit fit(features.cols());
  fit.add(features);
  return fit.gaussian();
}

/// |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), not its root. The trace of the root is taken of the symmetric
/// S1^(1/2) S2 S1^(1/2), which has the eigenvalues of S1 S2: real and, but for rounding, not negative.
inline double frechet_distance(const Gaussian& a, const Gaussian& b) {
  const Index width = a.mean.size();
  for (const Gaussian* g : {&a, &b}) {
    check(g->mean.size() == width && g->covariance.rows() == width && g->covariance.cols() == width, "metric-width",
          "mean of ", g->mean.size(), ", covariance of ", g->covariance.rows(), " x ", g->covariance.cols(),
          ", expected a width of ", width);
    check(g->mean.allFinite() && g->covariance.allFinite(), "metric-finite",
          "a mean or covariance holds a NaN or an infinity");
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> decomposed(a.covariance);
  const Eigen::VectorXd root_values = decomposed.eigenvalues().cwiseMax(0).cwiseSqrt();
  const Eigen::MatrixXd root =
      decomposed.eigenvectors() * root_values.asDiagonal() * decomposed.eigenvectors().transpose();
  const Eigen::MatrixXd product = root * b.covariance * root;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> product_decomposed(product, Eigen::EigenvaluesOnly);
  check(decomposed.info() == Eigen::Success && product_decomposed.info() == Eigen::Success, "metric-convergence",
        "the eigenvalues of a covariance were not found");
  const double trace_of_root = product_decomposed.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  return (a.mean - b.mean).squaredNorm() + a.covariance.trace() + b.covariance.trace() - 2 * trace_of_root;
}

/// The distance between two feature sets, (samples, width) each; the widths must agree.
template <class MatrixA, class MatrixB>
double frechet_distance(const Eigen::MatrixBase<MatrixA>& a, const Eigen::MatrixBase<MatrixB>& b) {
  check(a.cols() == b.cols(), "metric-width", "features are ", a.cols(), " and ", b.cols(), " wide");
  return frechet_distance(fit_gaussian(a), fit_gaussian(b));
}

}  // namespace metrics
SFUMATO_END
