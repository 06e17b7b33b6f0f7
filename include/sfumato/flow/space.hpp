// The straight path z = t x + (1 - t) e, and the three spaces a network may predict in.
// t = 0 is noise, t = 1 is data; v = dz/dt = x - e. Source: JiT, section 3 and table 1.
#pragma once

#include <sfumato/base/config.hpp>

SFUMATO_BEGIN

/// What a network predicts, or where its error is measured: the clean data, the noise, or the velocity.
enum class Space { x, eps, v };

/// "x", "eps" or "v".
constexpr const char* name_of(Space space) { return space == Space::x ? "x" : space == Space::eps ? "eps" : "v"; }

/// u = out * o + at * z: a prediction o carried to another space, linear at a given time.
struct Conversion {
  double output, z;
};

/// The smallest divisor: 1 - t and t are never taken below it (JiT, table 9).
inline constexpr double default_t_epsilon = 0.05;

/// How a prediction in `from` becomes one in `to` at time t. Divisors 1 - t and t are clamped from below to `t_epsilon`.
constexpr Conversion convert(Space from, Space to, double t, double t_epsilon = default_t_epsilon) {
  const double to_data = 1 - t > t_epsilon ? 1 - t : t_epsilon;
  const double from_noise = t > t_epsilon ? t : t_epsilon;
  if (from == to) return {1, 0};
  if (from == Space::x) return to == Space::v ? Conversion{1 / to_data, -1 / to_data} : Conversion{-t / to_data, 1 / to_data};
  if (from == Space::eps) return to == Space::v ? Conversion{-1 / from_noise, 1 / from_noise} : Conversion{-(1 - t) / from_noise, 1 / from_noise};
  return to == Space::x ? Conversion{1 - t, 1} : Conversion{-t, 1};
}

/// Weight of the squared error of the raw output that equals the squared error in `loss`: the same linear map acts on
/// prediction and target, so z cancels.
constexpr double loss_weight(Space prediction, Space loss, double t, double t_epsilon = default_t_epsilon) {
  const double factor = convert(prediction, loss, t, t_epsilon).output;
  return factor * factor;
}

/// The true value in `space`, from data x and noise e: x_weight * x + e_weight * e.
struct Truth {
  double x, e;
};
constexpr Truth truth(Space space) {
  if (space == Space::x) return {1, 0};
  if (space == Space::eps) return {0, 1};
  return {1, -1};
}

SFUMATO_END
