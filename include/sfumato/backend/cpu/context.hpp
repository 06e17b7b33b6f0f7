// The CPU backend's object: threads, instruction set, and the scratch memory its kernels reuse.
#pragma once

#include <sfumato/backend/cpu/parallel.hpp>
#include <sfumato/backend/cpu/simd.hpp>
#include <sfumato/backend/reference/memory.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

SFUMATO_BEGIN
namespace backend {

namespace cpu {

/// Scratch memory that only grows, so that calls allocate nothing once the largest one has been seen.
class Workspace {
 public:
  void reserve(std::size_t bytes) {
    if (bytes <= bytes_) return;
    memory_.reset();
    bytes_ = 0;
    memory_.reset(reference::allocate_host<std::byte>(static_cast<Index>(bytes)));
    bytes_ = bytes;
  }
  std::byte* data() const { return memory_.get(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Deallocate {
    void operator()(std::byte* memory) const { reference::deallocate_host(memory); }
  };
  std::unique_ptr<std::byte, Deallocate> memory_;
  std::size_t bytes_ = 0;
};

/// Cuts consecutive arrays out of a workspace, each aligned to a cache line. Counting with a null start gives the size.
class Carver {
 public:
  explicit Carver(std::byte* start = nullptr) : start_(start) {}
  template <class T> T* take(Index count) {
    T* const result = start_ != nullptr ? reinterpret_cast<T*>(start_ + bytes_) : nullptr;
    const std::size_t line = reference::memory_alignment;
    bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + line - 1) / line * line;
    return result;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* start_;
  std::size_t bytes_ = 0;
};

}  // namespace cpu

/// Kernels for the processor. One object serves one calling thread at a time; it parallelises inside.
class Cpu {
 public:
  static constexpr const char* name = "cpu";
  static constexpr bool host_memory = true, multiplies_dearly = true;

  /// `threads` 0: as many as OpenMP offers, 1 without OpenMP. The instruction set is the machine's best, or
  /// SFUMATO_SIMD's.
  explicit Cpu(int threads = 0) : Cpu(threads, default_simd_level()) {}

  /// With an instruction set no better than `limit`: for tests and comparisons.
  Cpu(int threads, SimdLevel limit)
      : threads_(checked(threads)),
        level_(std::min(limit, machine_simd_level())),
        scratch_(static_cast<std::size_t>(threads_)) {}

  Cpu(Cpu&&) = default;
  Cpu& operator=(Cpu&&) = default;
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  int threads() const { return threads_; }
  SimdLevel simd_level() const { return level_; }

  /// What the scratch memory has grown to.
  std::size_t workspace_bytes() const {
    std::size_t sum = shared_.bytes();
    for (const cpu::Workspace& scratch : scratch_) sum += scratch.bytes();
    return sum;
  }

  // For the kernels of this backend:

  const cpu::SimdTable& simd() const { return cpu::simd_table(level_); }

  /// Makes room in the scratch memory of every thread; called outside of parallel loops.
  void reserve_scratch(std::size_t bytes) {
    for (cpu::Workspace& scratch : scratch_) scratch.reserve(bytes);
  }
  std::byte* scratch(int thread) const { return scratch_[static_cast<std::size_t>(thread)].data(); }

  /// `count` elements all threads share until the next call.
  template <class T> T* shared(Index count) {
    shared_.reserve(static_cast<std::size_t>(count) * sizeof(T));
    return reinterpret_cast<T*>(shared_.data());
  }

  /// Runs body(begin, end, thread) over [0, count), in parallel where `work`, about the number of elements touched, is
  /// worth the threads' wake-up.
  template <class Body> void parallel(Index count, Index work, const Body& body) const {
    const Index worthwhile = std::max<Index>(1, work / elements_per_thread);
    cpu::parallel_for(static_cast<int>(std::min<Index>(threads_, worthwhile)), count, 1, body);
  }

 private:
  static constexpr Index elements_per_thread = 16384;  // a few microseconds

  static int checked(int threads) {
    check(threads >= 0 && threads <= 4096, "threads", "the number of threads is ", threads, ", expected 0 (all) to 4096");
    return threads == 0 ? std::max(1, cpu::default_threads()) : threads;
  }

  int threads_;
  SimdLevel level_;
  std::vector<cpu::Workspace> scratch_;
  cpu::Workspace shared_;
};

}  // namespace backend
SFUMATO_END
