// What a narrow output path must lose: RAE (Zheng et al. 2025), theorem 1, as numbers.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/base/rule.hpp>

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

SFUMATO_BEGIN

/// The least squared error of velocity, summed over a token's n values, that a model can reach whose path to the output is `width`
/// wide: the sum of all but the `width` largest eigenvalues of Cov(noise - data) = 1 + those of the data's covariance, `spectrum`,
/// in any order. 0 where width >= n. Throws Error("spectrum") for a negative or missing eigenvalue. Data are taken as centred.
inline double velocity_floor(std::span<const double> spectrum, int width) {
  check(!spectrum.empty(), "spectrum", "a covariance has at least one eigenvalue");
  std::vector<double> sorted(spectrum.begin(), spectrum.end());
  for (const double v : sorted) check(v >= 0, "spectrum", "the eigenvalues of a covariance are not negative, found ", v);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0;
  for (std::size_t i = static_cast<std::size_t>(std::max(width, 0)); i < sorted.size(); ++i) sum += 1 + sorted[i];
  return sum;
}
/// The same for each value of tokens of `TokenDim`, of data that are one point, whose covariance is 0: 1 - width / TokenDim.
template <int TokenDim> constexpr double one_image_floor(int width) { return width >= TokenDim ? 0 : 1 - double(width) / TokenDim; }

SFUMATO_END
