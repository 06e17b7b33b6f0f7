// Laws that training times are drawn from.
#pragma once

#include <sfumato/base/random.hpp>

#include <cmath>
#include <concepts>
#include <ratio>

SFUMATO_BEGIN

/// Turns random number `index` of a stream into a time in [0, 1]. A law with `for_each_option(visit)` has its name and numbers
/// kept in checkpoints.
template <class T>
concept TimeLaw = requires(const Random& random) {
  { T::sample(random, std::uint64_t{}) } -> std::convertible_to<double>;
};

/// t = sigmoid(Mu + Sigma n), n ~ N(0, 1). JiT's is (-0.8, 0.8): more noise than data.
template <class Mu = std::ratio<-8, 10>, class Sigma = std::ratio<8, 10>> struct LogitNormal {
  static double sample(const Random& random, std::uint64_t index) {
    return 1 / (1 + std::exp(-(mu + sigma * random.normal(index))));
  }
  /// What a checkpoint remembers of the law.
  template <class Visit> static void for_each_option(Visit&& visit) {
    visit("objective.times", "logit-normal");
    visit("objective.times.mu", mu);
    visit("objective.times.sigma", sigma);
  }

 private:
  static constexpr double mu = double(Mu::num) / double(Mu::den), sigma = double(Sigma::num) / double(Sigma::den);
};

/// t ~ U(0, 1).
struct UniformTime {
  static double sample(const Random& random, std::uint64_t index) { return random.uniform(index); }
  template <class Visit> static void for_each_option(Visit&& visit) { visit("objective.times", "uniform"); }
};

SFUMATO_END
