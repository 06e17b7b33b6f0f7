// Host memory shared by the backends that compute on the host, and what the reference loops share.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>

SFUMATO_BEGIN
namespace backend::reference {

/// A pointer that may be null: not deduced from, so that a plain `nullptr` can be passed.
template <class T> using Nullable = std::type_identity_t<T>*;

/// Aligned to a cache line, which is also the widest vector.
inline constexpr std::size_t memory_alignment = 64;

/// `n` uninitialised elements; throws Error("out-of-memory").
template <class T> T* allocate_host(Index n) {
  check(n >= 0, "out-of-memory", "cannot allocate ", n, " elements");
  const auto count = static_cast<std::size_t>(n);
  void* memory = nullptr;
  if (count <= std::numeric_limits<std::size_t>::max() / 2 / sizeof(T))
    memory =
        ::operator new (std::max<std::size_t>(count * sizeof(T), 1), std::align_val_t{memory_alignment}, std::nothrow);
  check(memory != nullptr, "out-of-memory", "cannot allocate ", n, " elements of ", sizeof(T), " bytes");
  return static_cast<T*>(memory);
}

inline void deallocate_host(void* memory) noexcept { ::operator delete (memory, std::align_val_t{memory_alignment}); }

/// destination = value, or += value.
template <class T> void store(T& destination, double value, bool accumulate) {
  destination = static_cast<T>(accumulate ? static_cast<double>(destination) + value : value);
}

/// destination += value, where there is a destination.
template <class T> void add(T* destination, Index i, double value) {
  if (destination != nullptr) store(destination[i], value, true);
}

/// x[i], or `otherwise` where there is no x.
template <class T> double value_or(const T* x, Index i, double otherwise) {
  return x != nullptr ? static_cast<double>(x[i]) : otherwise;
}

}  // namespace backend::reference
SFUMATO_END
