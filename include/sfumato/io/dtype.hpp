// Element types as safetensors files name them, and the conversion of their bytes.
#pragma once

#include <sfumato/base/element.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/base/rule.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

SFUMATO_BEGIN
namespace io {

static_assert(std::endian::native == std::endian::little,
              "the file formats here are little-endian and copied as they are");

enum class Dtype { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

namespace detail {

struct DtypeEntry {
  Dtype dtype;
  std::string_view name;
  std::size_t bytes;
};
inline constexpr std::array<DtypeEntry, 10> dtypes{{{Dtype::f64, "F64", 8},
                                                    {Dtype::f32, "F32", 4},
                                                    {Dtype::f16, "F16", 2},
                                                    {Dtype::bf16, "BF16", 2},
                                                    {Dtype::i64, "I64", 8},
                                                    {Dtype::i32, "I32", 4},
                                                    {Dtype::i16, "I16", 2},
                                                    {Dtype::i8, "I8", 1},
                                                    {Dtype::u8, "U8", 1},
                                                    {Dtype::boolean, "BOOL", 1}}};

/// IEEE 754 binary16; storage only.
struct Half {
  std::uint16_t bits = 0;

  constexpr operator float() const {
    const auto sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude < 0x0400u) {  // zero and subnormals: multiples of 2^-24
      const float value = static_cast<float>(magnitude) * 0x1p-24f;
      return sign != 0 ? -value : value;
    }
    const std::uint32_t bias = magnitude >= 0x7c00u ? 0x70000000u : 0x38000000u;  // infinity and NaN keep theirs
    return std::bit_cast<float>(sign | ((magnitude << 13) + bias));
  }
};

/// out[i] = element i of `bytes`, which holds elements of type From at any alignment.
template <class From, class To> void convert(std::span<const std::byte> bytes, std::span<To> out) {
  if constexpr (std::is_same_v<From, To>) {
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) {
      From value;
      std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
      if constexpr (std::is_same_v<From, double>) {
        out[i] = static_cast<To>(value);
      } else {
        out[i] = static_cast<To>(static_cast<float>(value));
      }
    }
  }
}

/// The same of whatever floating-point type `dtype` is; false where it is none.
template <Element To> [[nodiscard]] bool convert_floats(Dtype dtype, std::span<const std::byte> bytes, std::span<To> out) {
  if (dtype == Dtype::f64) convert<double>(bytes, out);
  else if (dtype == Dtype::f32) convert<float>(bytes, out);
  else if (dtype == Dtype::f16) convert<Half>(bytes, out);
  else if (dtype == Dtype::bf16) convert<bf16>(bytes, out);
  else return false;
  return true;
}

}  // namespace detail

/// "F32" and so on.
constexpr std::string_view dtype_name(Dtype dtype) { return detail::dtypes[static_cast<std::size_t>(dtype)].name; }
/// Bytes of one element.
constexpr std::size_t byte_size(Dtype dtype) { return detail::dtypes[static_cast<std::size_t>(dtype)].bytes; }
/// The dtype of that name, or nothing.
constexpr std::optional<Dtype> parse_dtype(std::string_view name) {
  for (const auto& entry : detail::dtypes)
    if (entry.name == name) return entry.dtype;
  return std::nullopt;
}

/// The dtype that stores a C++ type as it is.
template <class T> constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, double>)
    return Dtype::f64;
  else if constexpr (std::is_same_v<T, float>)
    return Dtype::f32;
  else if constexpr (std::is_same_v<T, bf16>)
    return Dtype::bf16;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return Dtype::i64;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return Dtype::i32;
  else if constexpr (std::is_same_v<T, std::int16_t>)
    return Dtype::i16;
  else if constexpr (std::is_same_v<T, std::int8_t>)
    return Dtype::i8;
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return Dtype::u8;
  else if constexpr (std::is_same_v<T, bool>)
    return Dtype::boolean;
  else
    static_assert(dependent_false<T>, "[dtype] no dtype stores this type");
}

}  // namespace io
SFUMATO_END
