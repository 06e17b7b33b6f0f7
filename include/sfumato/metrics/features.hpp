// Features as the metrics take them: one sample a row.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>

#include <Eigen/Core>

#include <span>

SFUMATO_BEGIN
namespace metrics {

/// A row-major view of `values` with `width` columns: `rows_of(features, 2048)` is (samples, 2048).
template <class T> using RowsView = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

namespace detail {

template <class T> RowsView<T> rows_of(std::span<const T> values, Index width) {
  const auto size = static_cast<Index>(values.size());
  check(width > 0 && size % width == 0, "metric-width", size, " values are not rows of ", width);
  return {values.data(), size / width, width};
}

template <class Matrix> void check_finite(const Eigen::MatrixBase<Matrix>& features, const char* what) {
  for (Index row = 0; row < features.rows(); ++row)
    check(features.row(row).allFinite(), "metric-finite", what, ": row ", row, " holds a NaN or an infinity");
}

}  // namespace detail

inline RowsView<float> rows_of(std::span<const float> values, Index width) { return detail::rows_of(values, width); }
inline RowsView<double> rows_of(std::span<const double> values, Index width) { return detail::rows_of(values, width); }

/// What sFID compares (Nash et al. 2021): the first `kept` channels of feature maps, whose rows are (channels, places): (samples, kept * places). ADM's
/// evaluator takes 7 channels of Inception's mixed_6 of 17 x 17 places. Throws `metric-width`.
template <class Matrix> auto spatial_features(const Eigen::MatrixBase<Matrix>& maps, Index channels, Index kept = 7) {
  check(channels > 0 && maps.cols() % channels == 0, "metric-width", "maps are ", maps.cols(), " wide, which is no multiple of ", channels, " channels");
  check(kept > 0 && kept <= channels, "metric-width", kept, " of ", channels, " channels were asked for");
  return maps.derived().leftCols(kept * (maps.cols() / channels)).eval();
}

}  // namespace metrics
SFUMATO_END
