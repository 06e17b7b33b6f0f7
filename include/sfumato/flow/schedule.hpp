// Where times lie: shifted towards noise for data of many dimensions, in training and on the sampler's grid.
#pragma once

#include <sfumato/base/rules.hpp>
#include <sfumato/flow/time_law.hpp>
#include <sfumato/tensor/shape.hpp>

SFUMATO_BEGIN

namespace detail {
constexpr double square_root(double x) {
  double root = x < 1 ? 1 : x;
  for (double last = 0; root != last;) {
    last = root;
    root = 0.5 * (last + x / last);
    if (root >= last) return last;
  }
  return root;
}
}  // namespace detail

/// The shift that data of so many dimensions asks for: noise level s = 1 - t becomes alpha s / (1 + (alpha - 1) s), alpha =
/// sqrt(m / Base) for the m = tokens times channels of `Sample` (Esser et al. 2024; RAE, section 4.2, whose base is 4096). The
/// more dimensions, the more noise a time must carry to hide as much of the data.
template <IsShape Sample, Index Base = 4096> struct DimensionShift : private rule::ShiftDefined<Sample::row, Base> {
  static constexpr Index dimension = Sample::row;
  static constexpr double alpha = detail::square_root(double(dimension) / double(Base));
  /// The shifted noise level.
  static constexpr double noise(double s) { return alpha * s / (1 + (alpha - 1) * s); }
};
/// The same by a number that is given: std::ratio<1> shifts nothing.
template <class Alpha> struct ShiftBy : private rule::ShiftAtLeastOne<Alpha::num, Alpha::den> {
  static constexpr double alpha = double(Alpha::num) / double(Alpha::den);
  static constexpr double noise(double s) { return alpha * s / (1 + (alpha - 1) * s); }
};

/// Times of `Law`, shifted.
template <TimeLaw Law, class Shift> struct Shifted {
  static constexpr const char* name = "shifted";
  static double sample(const Random& random, std::uint64_t index) { return 1 - Shift::noise(1 - Law::sample(random, index)); }
  template <class Visit> static void for_each_option(Visit&& visit) {
    visit("objective.times.law", Law::name);
    if constexpr (requires { Law{}.for_each_option(visit); }) Law{}.for_each_option(visit);
    visit("objective.times.alpha", Shift::alpha);
  }
};

/// The sampler's times: 0, 1 / steps, ... 1.
struct UniformGrid {
  static constexpr bool even = true;  ///< steps of one size
  static double time(int number, int steps) { return double(number) / steps; }
};
/// Even times from noise to `Last` short of data, then one step of that length to data: for EulerMaruyama (REG, REPA: 0.04).
template <class Last = std::ratio<4, 100>> struct LastStepGrid : private rule::TimeRange<std::ratio<0>, Last>, private rule::TimeRange<Last, std::ratio<1>> {
  static constexpr bool even = false;
  static double time(int number, int steps) {
    constexpr double range = 1 - double(Last::num) / double(Last::den);
    return number == steps ? 1 : steps == 1 ? 0 : range * number / (steps - 1);
  }
};
/// Noise levels that are even from 1 to `Lowest` before they are shifted. The last time is short of 1, and the step from there to
/// clean data is left out: the published sampler's 50 points are 49 steps (RAE; its code).
template <class Shift, class Lowest = std::ratio<1, 1000>> struct ShiftedGrid : private rule::TimeRange<Lowest, std::ratio<1>> {
  static constexpr bool even = false;
  static double time(int number, int steps) {
    const double range = 1 - double(Lowest::num) / double(Lowest::den);
    return 1 - Shift::noise(1 - range * number / steps);
  }
};

SFUMATO_END
