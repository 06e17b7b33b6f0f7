// What the tests of the CUDA backend share: an emulated device and arrays on it with guards behind them.
#pragma once

#include "check_error.hpp"
#include "cuda/tested.hpp"

#include <sfumato/backend/reference/reference.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

namespace cuda_test {

using CudaKernels = Kernels<Device>;

/// Uniform in [-1, 1], exact in bf16, so that every element type sees the same numbers.
inline std::vector<double> numbers(Index n, int stream) {
  const Random random{17, Stream::user, static_cast<std::uint32_t>(stream)};
  std::vector<double> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(bf16(2 * random.uniform(i) - 1));
  return x;
}

/// An array on the device, `offset` elements behind an aligned place, between guards that must stay as they are.
template <class T> class Guarded {
 public:
  Guarded(Device& device, const std::vector<double>& x, Index offset = 0)
      : device_(&device), size_(Index(x.size())), offset_(offset), memory_(device.allocate<T>(size_ + offset + 2 * guard)) {
    std::vector<T> host(static_cast<std::size_t>(size_ + offset + 2 * guard), guard_value());
    for (std::size_t i = 0; i < x.size(); ++i) host[i + std::size_t(guard + offset)] = static_cast<T>(x[i]);
    CudaKernels::upload(device, memory_, host.data(), Index(host.size()));
  }
  T* data() { return memory_ + guard + offset_; }
  /// The elements; checks the guards.
  std::vector<double> values() {
    const bool whole = intact();
    CHECK(whole);
    return {host_.begin() + (guard + offset_), host_.end() - guard};
  }
  /// Whether nothing around the array was written.
  bool intact() {
    host_.resize(static_cast<std::size_t>(size_ + offset_ + 2 * guard));
    CudaKernels::download(*device_, host_.data(), static_cast<const T*>(memory_), Index(host_.size()));
    const T expected = guard_value();
    for (std::size_t i = 0; i < host_.size(); ++i)
      if ((Index(i) < guard + offset_ || Index(i) >= guard + offset_ + size_) && std::memcmp(&host_[i], &expected, sizeof(T)) != 0) return false;
    return true;
  }

 private:
  static constexpr Index guard = 16;
  static T guard_value() { return static_cast<T>(-12345.0); }
  Device* device_;
  Index size_, offset_;
  T* memory_;
  std::vector<T> host_;
};

/// |a - b| / (1 + |b|), at its largest.
inline double far(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(a[i] - b[i]) / (1 + std::abs(b[i]));
    if (!(d <= largest)) largest = d;  // also for what is no number
  }
  return largest;
}

template <class T> inline constexpr double tolerance = std::is_same_v<T, double> ? 1e-14 : std::is_same_v<T, float> ? 1e-6 : 1e-2;

/// `f(kernels, device, n, array...)` on Reference in double and on the emulated device in T: all arrays, of n elements each,
/// must come out alike.
template <class T, int Arrays, class F> void compare(Index n, const F& f, Index offset = 0) {
  std::vector<std::vector<double>> expected;
  Device device;
  std::vector<Guarded<T>> found;
  for (int i = 0; i < Arrays; ++i) {
    expected.push_back(numbers(n, i));
    found.emplace_back(device, expected.back(), offset);
  }
  backend::Reference reference;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    f(Kernels<backend::Reference>{}, reference, n, expected[I].data()...);
    f(CudaKernels{}, device, n, found[I].data()...);
  }(std::make_index_sequence<Arrays>{});
  for (int i = 0; i < Arrays; ++i) {
    INFO("array " << i << " of " << n << ", offset " << offset);
    CHECK(far(found[std::size_t(i)].values(), expected[std::size_t(i)]) <= tolerance<T>);
  }
}

/// The same at sizes with and without a tail, and on arrays that are not aligned.
template <class T, int Arrays, class F> void compare_sizes(const F& f) {
  for (const Index n : {4, 8, 12, 256, 1000, 2052}) compare<T, Arrays>(n, f);
  compare<T, Arrays>(40, f, 1);
}

template <class T> const T* in(T* x) { return x; }

}  // namespace cuda_test
