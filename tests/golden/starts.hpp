// How large a model's parameters are at first.
#pragma once

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/train/weights.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

/// The largest absolute value, and the root mean square, of a parameter's initial values.
struct Start {
  double largest = 0, deviation = 0;
};
/// Of each parameter, by name.
template <class Model> std::map<std::string, Start> starts() {
  using namespace sfumato;
  backend::Cpu cpu(1);
  Weights<Model, backend::Cpu> weights(cpu, 3);
  std::vector<float> host(static_cast<std::size_t>(weights.size()));
  weights.values().download(host);
  std::map<std::string, Start> out;
  for (const ParameterInfo& p : parameter_table(weights.model())) {
    Start& start = out[p.name];
    for (Index i = 0; i < p.size; ++i) {
      const double w = host[static_cast<std::size_t>(p.offset + i)];
      start.largest = std::max(start.largest, std::abs(w));
      start.deviation += w * w / double(p.size);
    }
    start.deviation = std::sqrt(start.deviation);
  }
  return out;
}
/// U(-bound, bound).
inline void check_within(const Start& s, double bound) {
  CHECK(s.largest <= bound);
  CHECK(s.largest > 0.9 * bound);
  CHECK(s.deviation == doctest::Approx(bound / std::sqrt(3.0)).epsilon(0.1));
}
