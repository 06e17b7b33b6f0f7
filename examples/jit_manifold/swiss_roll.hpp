// The data: a curve in the plane, put into D dimensions by a random isometry (JiT, section 3.3).
#pragma once

#include <sfumato/base/random.hpp>
#include <sfumato/train/trainer.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace manifold {

using sfumato::Index;
using Point = std::array<double, 2>;

/// The swiss roll at u in (0, 1): (phi cos phi, phi sin phi) / 10 with phi = 1.5 pi (1 + 2 u).
inline Point roll(double u) {
  const double phi = 1.5 * 3.14159265358979323846 * (1 + 2 * u);
  return {phi * std::cos(phi) / 10, phi * std::sin(phi) / 10};
}

/// Distance of a point to the curve, which is taken as a chain of short chords.
inline double distance_to_roll(const Point& p) {
  constexpr int chords = 1000;
  static const std::vector<Point> knots = [] {
    std::vector<Point> all;
    for (int i = 0; i <= chords; ++i) all.push_back(roll(double(i) / chords));
    return all;
  }();
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < chords; ++i) {
    const Point &a = knots[i], &b = knots[i + 1];
    const double dx = b[0] - a[0], dy = b[1] - a[1];
    const double along = std::clamp(((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
    best = std::min(best, std::hypot(p[0] - a[0] - along * dx, p[1] - a[1] - along * dy));
  }
  return best;
}

/// A random D x 2 matrix P with orthonormal columns: x = P p has length and angles of p.
template <int D> class Embedding {
 public:
  explicit Embedding(std::uint64_t seed) {
    const sfumato::Random random{seed, sfumato::Stream::user};
    for (std::size_t c = 0; c < 2; ++c)
      for (std::size_t i = 0; i < D; ++i) columns_[c][i] = random.normal(c * D + i);
    normalise(columns_[0]);
    const double shared = dot(columns_[0], columns_[1]);
    for (std::size_t i = 0; i < D; ++i) columns_[1][i] -= shared * columns_[0][i];
    normalise(columns_[1]);
  }

  /// P p.
  template <class E> void embed(const Point& p, E* out) const {
    for (std::size_t i = 0; i < D; ++i) out[i] = static_cast<E>(columns_[0][i] * p[0] + columns_[1][i] * p[1]);
  }
  /// P^T x.
  Point project(std::span<const float> x) const { return {dot(columns_[0], x), dot(columns_[1], x)}; }
  /// |x - P P^T x|^2: what lies outside of the plane.
  double outside(std::span<const float> x) const {
    const Point p = project(x);
    double sum = 0;
    for (std::size_t i = 0; i < D; ++i) {
      const double rest = x[i] - columns_[0][i] * p[0] - columns_[1][i] * p[1];
      sum += rest * rest;
    }
    return sum;
  }

 private:
  using Column = std::array<double, D>;
  template <class X> static double dot(const Column& a, const X& b) {
    double sum = 0;
    for (std::size_t i = 0; i < D; ++i) sum += a[i] * b[i];
    return sum;
  }
  static void normalise(Column& a) {
    const double length = std::sqrt(dot(a, a));
    for (double& value : a) value /= length;
  }

  std::array<Column, 2> columns_;  // (2, D)
};

/// Training data: sample i is a function of the seed and i, so `count` samples drawn once each are all fresh.
template <int D> class RollSource {
 public:
  RollSource(const Embedding<D>& embedding, std::uint64_t seed, Index count)
      : embedding_(&embedding), seed_(seed), count_(count) {}

  Index size() const { return count_; }
  Point point(Index i) const {
    return roll(sfumato::Random{seed_, sfumato::Stream::data}.uniform(static_cast<std::uint64_t>(i)));
  }
  template <class E> int load(Index i, bool, E* out) const {
    embedding_->embed(point(i), out);
    return 0;
  }

 private:
  const Embedding<D>* embedding_;
  std::uint64_t seed_;
  Index count_;
};

}  // namespace manifold
