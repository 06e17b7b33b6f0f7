// The device under test: a GPU played on the CPU or, with SFUMATO_TEST_GPU, a real one.
#pragma once

#if defined(SFUMATO_TEST_GPU)
#include <sfumato/backend/cuda/cuda.hpp>
#else
#include "cuda/emulated.hpp"
#endif

#include <cstddef>
#include <vector>

namespace cuda_test {

using namespace sfumato;

#if defined(SFUMATO_TEST_GPU)
using Device = backend::Cuda;

/// Memory that host and device can read.
template <class T> struct Pinned {
  using value_type = T;
  Pinned() = default;
  template <class U> Pinned(const Pinned<U>&) {}
  T* allocate(std::size_t n) {
    void* memory = nullptr;
    backend::cuda::check_status(backend::cuda::status_of(cudaHostAlloc(&memory, n * sizeof(T), cudaHostAllocDefault)), "out-of-memory", "pinned memory");
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { cudaFreeHost(memory); }
  bool operator==(const Pinned&) const = default;
};
template <class T> using Vector = std::vector<T, Pinned<T>>;
inline void play_backwards(bool) {}
#else
using Device = backend::BasicCuda<emulated::Api>;
template <class T> using Vector = std::vector<T>;
inline void play_backwards(bool yes) { emulated::backwards() = yes; }
#endif

}  // namespace cuda_test
