// Element types: f32 computes, f64 checks, bf16 stores.
#pragma once

#include <sfumato/base/config.hpp>

#include <bit>
#include <cstdint>
#include <type_traits>

SFUMATO_BEGIN

/// bfloat16: the upper half of a float, rounded to nearest even. Storage only: arithmetic converts to float.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  SFUMATO_HD constexpr explicit bf16(float value) : bits(round(value)) {}
  SFUMATO_HD constexpr explicit bf16(double value) : bf16(static_cast<float>(value)) {}
  SFUMATO_HD constexpr operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

 private:
  SFUMATO_HD static constexpr std::uint16_t round(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((u >> 16) | 0x40u);  // keep NaN quiet
    return static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
};

/// What a kernel may compute on.
template <class T>
concept Element = std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, bf16>;

namespace detail {
template <class T> struct ComputeType { using type = T; };
template <> struct ComputeType<bf16> { using type = float; };
}  // namespace detail

/// The type sums of `T` are accumulated in by fast backends: double for f64, float otherwise.
template <Element T> using compute_t = typename detail::ComputeType<T>::type;

SFUMATO_END
