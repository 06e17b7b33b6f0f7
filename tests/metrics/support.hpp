// What the metric tests share.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/base/random.hpp>

#include "check_error.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>

#include <cmath>
#include <string>
#include <string_view>

namespace metrics_test {

/// Standard normal numbers, (rows, cols).
inline Eigen::MatrixXd normals(Eigen::Index rows, Eigen::Index cols, std::uint64_t seed) {
  const sfumato::Random random{seed};
  return Eigen::MatrixXd::NullaryExpr(rows, cols, [&](Eigen::Index i, Eigen::Index j) {
    return random.normal(static_cast<std::uint64_t>(i * cols + j));
  });
}

/// `x` with `offset` added to every value.
inline Eigen::MatrixXd shifted(const Eigen::MatrixXd& x, double offset) { return x.array() + offset; }

template <class Code> void check_error(std::string_view id, Code&& code) { ::check_error(code, id, {}); }

inline void check_close(double value, double expected, double tolerance) {
  INFO(value, " is not ", expected);
  CHECK(std::abs(value - expected) <= tolerance);
}

}  // namespace metrics_test
