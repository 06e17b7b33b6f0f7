// Pillow's 8-bit resampling (src/libImaging/Resample.c), to the bit: weights in fixed point with 22 fractional bits.
#pragma once

#include <sfumato/base/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

SFUMATO_BEGIN
namespace io {
namespace detail {

inline double box_filter(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

inline double bicubic_filter(double x) {  // Keys' kernel
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

inline constexpr int weight_bits = 22;

/// For each output: the first input and the weights of it and its followers.
struct Taps {
  std::vector<std::size_t> first;
  std::vector<std::vector<std::int32_t>> weights;
};

/// precompute_coeffs and normalize_coeffs_8bpc.
template <class Kernel> Taps resample_taps(int in, int out, double radius, Kernel&& kernel) {
  const double scale = static_cast<double>(in) / out, stretch = std::max(scale, 1.0), support = radius * stretch;
  Taps taps;
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int last = std::min(in, static_cast<int>(center + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int x = first; x < last; ++x) sum += weights.emplace_back(kernel((x - center + 0.5) * (1.0 / stretch)));
    std::vector<std::int32_t> fixed;
    for (const double weight : weights) {
      const double scaled = (sum != 0 ? weight / sum : weight) * (1 << weight_bits);
      fixed.push_back(static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
    }
    taps.first.push_back(static_cast<std::size_t>(first));
    taps.weights.push_back(std::move(fixed));
  }
  return taps;
}

/// Resamples the middle axis: (outer, in, inner) -> (outer, taps, inner).
inline std::vector<std::uint8_t> resample(std::span<const std::uint8_t> pixels, std::size_t outer, std::size_t in,
                                          std::size_t inner, const Taps& taps) {
  const std::size_t out = taps.first.size();
  std::vector<std::uint8_t> result(outer * out * inner);
  std::vector<std::int32_t> sums(inner);
  for (std::size_t o = 0; o < outer; ++o) {
    for (std::size_t i = 0; i < out; ++i) {
      sums.assign(inner, 1 << (weight_bits - 1));
      const std::uint8_t* source = pixels.data() + (o * in + taps.first[i]) * inner;
      for (const std::int32_t weight : taps.weights[i]) {
        for (std::size_t k = 0; k < inner; ++k) sums[k] += source[k] * weight;
        source += inner;
      }
      std::uint8_t* target = result.data() + (o * out + i) * inner;
      for (std::size_t k = 0; k < inner; ++k)
        target[k] = static_cast<std::uint8_t>(std::clamp(sums[k] >> weight_bits, 0, 255));
    }
  }
  return result;
}

}  // namespace detail
}  // namespace io
SFUMATO_END
