// Laws that training times are drawn from.
#pragma once

#include <sfumato/base/random.hpp>
#include <sfumato/base/rules.hpp>

#include <cmath>
#include <concepts>
#include <ratio>

SFUMATO_BEGIN

/// Turns random number `index` of a stream into a time in [0, 1]; 0 is noise, 1 is data. Checkpoints keep its `name` and, where it
/// has `for_each_option(visit)`, its numbers.
template <class T>
concept TimeLaw = requires(const Random& random) {
  { T::sample(random, std::uint64_t{}) } -> std::convertible_to<double>;
  { T::name } -> std::convertible_to<const char*>;
};

/// t = sigmoid(Mu + Sigma n), n ~ N(0, 1). JiT's is (-0.8, 0.8): more noise than data.
template <class Mu = std::ratio<-8, 10>, class Sigma = std::ratio<8, 10>> struct LogitNormal {
  static constexpr const char* name = "logit-normal";
  static double sample(const Random& random, std::uint64_t index) {
    return 1 / (1 + std::exp(-(mu + sigma * random.normal(index))));
  }
  /// What a checkpoint remembers of the law besides its name.
  template <class Visit> static void for_each_option(Visit&& visit) {
    visit("objective.times.mu", mu);
    visit("objective.times.sigma", sigma);
  }

 private:
  static constexpr double mu = double(Mu::num) / double(Mu::den), sigma = double(Sigma::num) / double(Sigma::den);
};

/// The same between Low and High, by the inverse of its distribution. RAE's code trains on this since December 2025, its noise level
/// 1 - t below 0.999; as first released, most likely for the paper's tables, on `UniformBetween<std::ratio<1, 1000>>`.
template <class Mu = std::ratio<0>, class Sigma = std::ratio<1>, class Low = std::ratio<1, 1000>, class High = std::ratio<1>> struct TruncatedLogitNormal
    : private rule::TimeRange<Low, High> {
  static constexpr const char* name = "truncated logit-normal";
  static double sample(const Random& random, std::uint64_t index) {
    const double below = low <= 0 ? 0 : share((std::log(low / (1 - low)) - mu) / sigma), above = high >= 1 ? 1 : share((std::log(high / (1 - high)) - mu) / sigma);
    const double wanted = below + random.uniform(index) * (above - below);
    double from = -40, to = 40;  // the distribution rises: halving finds the number to its last bit
    for (int i = 0; i < 64; ++i) {
      const double middle = 0.5 * (from + to);
      (share(middle) < wanted ? from : to) = middle;
    }
    const double t = 1 / (1 + std::exp(-(mu + sigma * to)));
    return t < low ? low : t > high ? high : t;
  }
  template <class Visit> static void for_each_option(Visit&& visit) {
    visit("objective.times.mu", mu);
    visit("objective.times.sigma", sigma);
    visit("objective.times.low", low);
    visit("objective.times.high", high);
  }

 private:
  static double share(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }
  static constexpr double mu = double(Mu::num) / double(Mu::den), sigma = double(Sigma::num) / double(Sigma::den);
  static constexpr double low = double(Low::num) / double(Low::den), high = double(High::num) / double(High::den);
};

/// t ~ U(Low, High).
template <class Low, class High = std::ratio<1>> struct UniformBetween : private rule::TimeRange<Low, High> {
  static constexpr const char* name = "uniform between";
  static double sample(const Random& random, std::uint64_t index) { return low + (high - low) * random.uniform(index); }
  template <class Visit> static void for_each_option(Visit&& visit) {
    visit("objective.times.low", low);
    visit("objective.times.high", high);
  }

 private:
  static constexpr double low = double(Low::num) / double(Low::den), high = double(High::num) / double(High::den);
};

/// t ~ U(0, 1).
struct UniformTime {
  static constexpr const char* name = "uniform";
  static double sample(const Random& random, std::uint64_t index) { return random.uniform(index); }
};

/// t = 2/pi atan(exp(n)), n ~ N(0, 1): the logarithm of data's weight over noise's is n on CosinePath, as with LogitNormal<0, 1> on
/// LinearPath (SiT's and REPA's code: "lognormal").
struct ArctanNormal {
  static constexpr const char* name = "arctan normal";
  static double sample(const Random& random, std::uint64_t index) { return 0.63661977236758134308 * std::atan(std::exp(random.normal(index))); }
};

/// t = 1 - 1 / (tan(pi/2 u) + 1), u ~ U(0, 1): the cosine schedule as a law on this path (Esser et al. 2024, "CosMap"). Symmetric,
/// thinner at both ends.
struct CosineTime {
  static constexpr const char* name = "cosine";
  static double sample(const Random& random, std::uint64_t index) {
    return 1 - 1 / (std::tan(1.57079632679489661923 * random.uniform(index)) + 1);
  }
};

SFUMATO_END
