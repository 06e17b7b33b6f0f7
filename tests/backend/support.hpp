// What the tests of kernels share: random data, comparison against the reference, the configurations to try. They test Cpu, or
// Cuda where SFUMATO_TEST_CUDA is defined.
#pragma once

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>

#if defined(SFUMATO_TEST_CUDA)
#include "cuda/tested.hpp"
#endif

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace test {

using namespace sfumato;
using backend::Cpu;
using backend::Reference;
using backend::SimdLevel;
using Host = Kernels<Reference>;
#if defined(SFUMATO_TEST_CUDA)
using Tested = cuda_test::Device;
using cuda_test::Vector;
inline void finish(Tested& device) { device.synchronize(); }
#else
using Tested = Cpu;
template <class T> using Vector = std::vector<T>;
inline void finish(Cpu&) {}
#endif
/// Waits until what was called is done, so that the host can read it.
inline void finish(Reference&) {}
using Fast = Kernels<Tested>;

template <class T> std::string type_name() {
  return std::is_same_v<T, float> ? "float" : std::is_same_v<T, double> ? "double" : "bf16";
}

/// Uniform in [-scale, scale], rounded to T; each seed another array.
template <class T> Vector<T> values(Index n, std::uint64_t seed, double scale = 1) {
  Vector<T> x(static_cast<std::size_t>(n));
  const Random random{seed, Stream::user, 0};
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(scale * (2 * random.uniform(i) - 1));
  return x;
}

/// What one rounding to T costs, with room for sums in another order.
template <class T> constexpr double tolerance() {
  return std::is_same_v<T, float> ? 2e-5 : std::is_same_v<T, double> ? 1e-12 : 2e-2;
}

/// |a - b| <= tolerance * (0.01 + root mean square of b + |b|), element by element; the first violation is printed. The
/// 0.01, for data of order 1, is for results that cancel to zero.
template <class T> void check_close(const Vector<T>& found, const Vector<T>& expected,
                                    const std::string& what, double factor = 1) {
  REQUIRE(found.size() == expected.size());
  double square = 0;
  for (const T& x : expected) square += static_cast<double>(x) * static_cast<double>(x);
  const double scale = std::sqrt(square / static_cast<double>(std::max<std::size_t>(expected.size(), 1)));
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double a = static_cast<double>(found[i]), b = static_cast<double>(expected[i]);
    const double allowed = factor * tolerance<T>() * (0.01 + scale + std::abs(b));
    if (!(std::abs(a - b) <= allowed)) {
      FAIL_CHECK(what << " " << type_name<T>() << " [" << i << "]: found " << a << ", expected " << b << ", off by "
                      << std::abs(a - b) / allowed << " times the tolerance");
      return;
    }
  }
  CHECK(true);
}

template <class T> void check_equal_bits(const Vector<T>& a, const Vector<T>& b, const std::string& what) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      FAIL_CHECK(what << " " << type_name<T>() << " [" << i << "]: " << static_cast<double>(a[i]) << " and "
                      << static_cast<double>(b[i]));
      return;
    }
  CHECK(true);
}

/// Instruction sets this machine has.
inline std::vector<SimdLevel> levels() {
  std::vector<SimdLevel> out;
  for (const SimdLevel level : {SimdLevel::baseline, SimdLevel::avx2, SimdLevel::avx512})
    if (level <= backend::machine_simd_level()) out.push_back(level);
  return out;
}

#if defined(SFUMATO_TEST_CUDA)
/// Runs body(backend, name) for every configuration.
template <class Body> void on_each(const Body& body) {
  Tested device;
  body(device, Tested::name);
}
/// The same thrice, with the same bits every time; a GPU that is played plays the other way round in between.
template <class Body> void on_each_alike(const Body& body) {
  Tested device;
  for (int i = 0; i < 3; ++i) {
    cuda_test::play_backwards(i == 1);
    body(device, "run " + std::to_string(i));
  }
}
#else
/// Runs body(backend, name) for every level, two threads; f64 and bf16 differ by level in products only.
template <class Body> void on_each(const Body& body) {
  for (const SimdLevel level : levels()) {
    Cpu cpu(2, level);
    body(cpu, std::string(backend::simd_name(level)));
  }
}
/// The same with 1, 2, 3 and 4 threads on the best level.
template <class Body> void on_each_alike(const Body& body) {
  for (const int threads : {1, 2, 3, 4}) {
    Cpu cpu(threads);
    body(cpu, std::to_string(threads) + " threads");
  }
}
#endif

/// `call` is a generic callable (backend, outputs...) -> void run by Reference and by the tested backend on copies of
/// `initial`; every output is compared.
template <class T, class Call>
void compare(const std::vector<Vector<T>>& initial, const std::string& what, const Call& call, double factor = 1) {
  auto expected = initial;
  Reference reference;
  call.template operator()<Host>(reference, expected);
  on_each([&](Tested& device, const std::string& level) {
    auto found = initial;
    call.template operator()<Fast>(device, found);
    finish(device);
    for (std::size_t i = 0; i < found.size(); ++i)
      check_close(found[i], expected[i], what + " output " + std::to_string(i) + " on " + level, factor);
  });
}

/// The same outputs, bit for bit, whatever the number of threads, and every time.
template <class T, class Call>
void same_bits(const std::vector<Vector<T>>& initial, const std::string& what, const Call& call) {
  std::vector<Vector<T>> expected;
  on_each_alike([&](Tested& device, const std::string& name) {
    auto found = initial;
    call.template operator()<Fast>(device, found);
    finish(device);
    if (expected.empty()) expected = found;
    for (std::size_t i = 0; i < found.size(); ++i)
      check_equal_bits(found[i], expected[i], what + " output " + std::to_string(i) + " with " + name);
  });
}

/// Both of the above.
template <class T, class Call>
void verify(const std::vector<Vector<T>>& initial, const std::string& what, const Call& call, double factor = 1) {
  compare(initial, what, call, factor);
  same_bits(initial, what, call);
}

/// Room for what a row keeps for its backward pass; `rounded` gives it back as T, to be compared with the other outputs.
template <class T> struct Kept {
  Vector<compute_t<T>> values;
  explicit Kept(std::size_t n) : values(n) {}
  compute_t<T>* data() { return values.data(); }
  void rounded(Vector<T>& out) const { std::transform(values.begin(), values.end(), out.begin(), [](auto x) { return static_cast<T>(x); }); }
};

/// A pointer, or null.
template <class T> const T* data_or_null(const Vector<T>& x, bool there) { return there ? x.data() : nullptr; }
template <class T> T* data_or_null(Vector<T>& x, bool there) { return there ? x.data() : nullptr; }

}  // namespace test
