// What the backend tests share: random data, comparison against the reference, the CPU configurations to try.
#pragma once

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>

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
using Fast = Kernels<Cpu>;

template <class T> std::string type_name() {
  return std::is_same_v<T, float> ? "float" : std::is_same_v<T, double> ? "double" : "bf16";
}

/// Uniform in [-scale, scale], rounded to T; each seed another array.
template <class T> std::vector<T> values(Index n, std::uint64_t seed, double scale = 1) {
  std::vector<T> x(static_cast<std::size_t>(n));
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
template <class T> void check_close(const std::vector<T>& found, const std::vector<T>& expected,
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

template <class T> void check_equal_bits(const std::vector<T>& a, const std::vector<T>& b, const std::string& what) {
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

/// Runs body(kernels' backend, name) for every level, two threads; f64 and bf16 differ by level in products only.
template <class Body> void on_each_cpu(const Body& body) {
  for (const SimdLevel level : levels()) {
    Cpu cpu(2, level);
    body(cpu, std::string(backend::simd_name(level)));
  }
}

/// `call` is a generic callable (backend, outputs...) -> void run by Reference and by every Cpu on copies of `initial`;
/// every output is compared.
template <class T, class Call>
void compare(const std::vector<std::vector<T>>& initial, const std::string& what, const Call& call, double factor = 1) {
  auto expected = initial;
  Reference reference;
  call.template operator()<Host>(reference, expected);
  on_each_cpu([&](Cpu& cpu, const std::string& level) {
    auto found = initial;
    call.template operator()<Fast>(cpu, found);
    for (std::size_t i = 0; i < found.size(); ++i)
      check_close(found[i], expected[i], what + " output " + std::to_string(i) + " on " + level, factor);
  });
}

/// The same outputs, bit for bit, with 1, 2, 3 and 4 threads on the best level.
template <class T, class Call>
void same_for_any_threads(const std::vector<std::vector<T>>& initial, const std::string& what, const Call& call) {
  auto expected = initial;
  Cpu one(1);
  call.template operator()<Fast>(one, expected);
  for (const int threads : {2, 3, 4}) {
    Cpu cpu(threads);
    auto found = initial;
    call.template operator()<Fast>(cpu, found);
    for (std::size_t i = 0; i < found.size(); ++i)
      check_equal_bits(found[i], expected[i],
                       what + " output " + std::to_string(i) + " with " + std::to_string(threads) + " threads");
  }
}

/// Both of the above.
template <class T, class Call>
void verify(const std::vector<std::vector<T>>& initial, const std::string& what, const Call& call, double factor = 1) {
  compare(initial, what, call, factor);
  same_for_any_threads(initial, what, call);
}

/// Room for what a row keeps for its backward pass; `rounded` gives it back as T, to be compared with the other outputs.
template <class T> struct Kept {
  std::vector<compute_t<T>> values;
  explicit Kept(std::size_t n) : values(n) {}
  compute_t<T>* data() { return values.data(); }
  void rounded(std::vector<T>& out) const { std::transform(values.begin(), values.end(), out.begin(), [](auto x) { return static_cast<T>(x); }); }
};

/// A pointer, or null.
template <class T> const T* data_or_null(const std::vector<T>& x, bool there) { return there ? x.data() : nullptr; }
template <class T> T* data_or_null(std::vector<T>& x, bool there) { return there ? x.data() : nullptr; }

}  // namespace test
