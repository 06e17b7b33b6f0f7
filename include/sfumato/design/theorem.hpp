// What a narrow output path must lose: RAE (Zheng et al. 2025), theorem 1, as numbers.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/base/rule.hpp>

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

SFUMATO_BEGIN

/// A bound on the mean squared error of velocity, over times and a token's n values: no model whose path to the output is `width` wide
/// gets below it. It is the mean of the n eigenvalues of Cov(noise - data), the `width` largest of them counted as 0; they are 1 + those of
/// the data's covariance, `spectrum`, in any order. 0 where width >= n. Data are taken as centred. Throws Error("spectrum") for a
/// negative or missing eigenvalue.
inline double velocity_floor(std::span<const double> spectrum, int width) {
  check(!spectrum.empty(), "spectrum", "a covariance has at least one eigenvalue");
  std::vector<double> sorted(spectrum.begin(), spectrum.end());
  for (const double v : sorted) check(v >= 0, "spectrum", "the eigenvalues of a covariance are not negative, found ", v);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0;
  for (std::size_t i = static_cast<std::size_t>(std::max(width, 0)); i < sorted.size(); ++i) sum += 1 + sorted[i];
  return sum / double(sorted.size());
}
/// The same for data that are one point, whose covariance is 0: 1 - width / TokenDim.
template <int TokenDim> constexpr double one_image_floor(int width) { return width >= TokenDim ? 0 : 1 - double(width) / TokenDim; }

SFUMATO_END
