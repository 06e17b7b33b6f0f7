// How data and noise are mixed on the way from one to the other: z(t) = data(t) x + noise(t) e, t = 0 noise, t = 1 data (SiT: Ma et al.,
// arXiv 2401.08740, whose names "linear" and "GVP" they are; REG counts time the other way).
#pragma once

#include <sfumato/base/config.hpp>

#include <cmath>
#include <concepts>

SFUMATO_BEGIN

/// The weights of data and noise at a time, and how fast they change: z = data x + noise e, dz/dt = d_data x + d_noise e.
struct PathPoint {
  double data, noise, d_data, d_noise;

  /// The score of z's distribution from its velocity: score = velocity * v + z * z (SiT, equation 9). Not at t = 1.
  struct Score {
    double velocity, z;
  };
  Score score() const {
    const double by = noise * (data * d_noise - d_data * noise);  // e = (data v - d_data z) / (data d_noise - d_data noise); score = -e / noise
    return {-data / by, d_data / by};
  }
};

/// A path: `static PathPoint at(double t)`; checkpoints keep its `name`.
template <class P>
concept Path = requires(double t) {
  { P::at(t) } -> std::same_as<PathPoint>;
  { P::name } -> std::convertible_to<const char*>;
};

/// Straight, of constant velocity x - e.
struct LinearPath {
  static constexpr const char* name = "linear";
  static PathPoint at(double t) { return {t, 1 - t, 1, -1}; }
};
/// On a circle: the variance stays, where the data's is 1.
struct CosinePath {
  static constexpr const char* name = "cosine";
  static PathPoint at(double t) {
    constexpr double half_pi = 1.57079632679489661923;
    const double s = std::sin(half_pi * t), c = std::cos(half_pi * t);
    return {s, c, half_pi * c, -half_pi * s};
  }
};

SFUMATO_END
