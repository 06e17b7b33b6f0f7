// A GPU played on the CPU: blocks one after the other, the threads of a block as fibers that take turns.
//
// What a GPU only does wrong now and then is an error here every time: shared memory that one thread writes and another uses
// without a barrier between them (of warp operations only sync_warp is one), shared memory that nobody wrote, a barrier or a warp
// operation that not all threads reach.
#pragma once

#include "cuda/emulated.hpp"

#include <sfumato/backend/cuda/thrust.hpp>

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <thrust/execution_policy.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

namespace emulated {

using backend::cuda::Accumulator;
using backend::cuda::Pack;
using backend::cuda::Pair;
using backend::cuda::warp_size;

/// Who last wrote and last read a place in shared memory, and between which barriers. Of the readers two of each of two warps are
/// enough: whoever writes, one that he must not overtake is among them if there is one.
struct Access {
  int thread = -1, epoch = 0, warp_epoch = 0;
};
struct Shadow {
  static constexpr std::size_t bytes = 2;  ///< of a place: the smallest element
  Access write, reads[2][2];
};
/// What the lanes of a warp meet in.
enum class Meeting { sync, shuffle, mma };

class Block;

/// A thread of the block that is being played.
class Thread {
 public:
  Thread(Block& block, int thread) : block_(&block), thread_(thread) {}
  int thread() const { return thread_; }
  int lane() const { return thread_ % warp_size; }
  int warp() const { return thread_ / warp_size; }
  inline Index block() const;
  inline Index block_y() const;
  inline Index block_z() const;
  inline void sync();
  inline void sync_warp();
  template <class T> T shuffle_xor(T value, int mask) { return shuffle(value, lane() ^ mask); }
  template <class T> T shuffle(T value, int lane);
  template <class T> auto shared(int count);
  inline void mma(Accumulator& c, const Pair (&a)[4], Pair b0, Pair b1);
  template <class S> void copy_async(const S& to, int i, const bf16* from, bool inside);
  void wait_async();
  template <bool Transposed, class S> void load_matrix(Pair (&to)[4], const S& from, int row_start);

 private:
  Block* block_;
  int thread_;
  std::size_t used_ = 0;
  std::vector<std::function<void()>> copies_;  ///< begun, not waited for
};

/// One block: its shared memory, its threads, and where each of them stands.
class Block {
 public:
  static constexpr std::size_t slot_bytes = 64;

  template <class Kernel> Block(const char* name, const Kernel& kernel, const Grid& grid, Index x, Index y, Index z)
      : name_(name), x_(x), y_(y), z_(z), threads_(Kernel::threads), memory_(static_cast<std::size_t>(grid.shared_bytes), std::byte{0xff}),
        shadow_(memory_.size() / Shadow::bytes + 1), state_(static_cast<std::size_t>(threads_)), slots_(2 * static_cast<std::size_t>(threads_) * slot_bytes),
        warp_epoch_(static_cast<std::size_t>(threads_ / warp_size)), meetings_(warp_epoch_.size()), meeting_(static_cast<std::size_t>(threads_)) {
    static_assert(Kernel::threads % warp_size == 0);
    static boost::context::pooled_fixedsize_stack stacks(128 * 1024);
    for (int i = 0; i < threads_; ++i) {
      const boost::context::stack_context stack = stacks.allocate();
      stacks_.push_back({static_cast<std::byte*>(stack.sp) - stack.size, stack.size});
      fibers_.emplace_back(std::allocator_arg, boost::context::preallocated(stack.sp, stack.size, stack), stacks,
                           [this, i, &kernel](boost::context::fiber&& scheduler) {
                             arrived(nullptr, std::move(scheduler));
                             try {
                               Thread thread(*this, i);
                               kernel(thread);
                             } catch (const Cancelled&) {
                             } catch (...) {
                               error_ = std::current_exception();
                             }
                             at(i) = State::done;
                             leave(nullptr, scheduler_stack_);
                             return std::move(scheduler_);
                           });
    }
    try {
      run();
    } catch (...) {
      cancelled_ = true;  // the threads that wait leave their kernel, so that their stacks are unwound
      for (int i = 0; i < threads_; ++i)
        if (at(i) != State::done) play(i);
      throw;
    }
  }

  Index x() const { return x_; }
  Index y() const { return y_; }
  Index z() const { return z_; }
  std::byte* memory(std::size_t offset, std::size_t bytes) {
    if (offset + bytes > memory_.size()) fail("uses ", offset + bytes, " bytes of shared memory, was launched with ", memory_.size());
    return memory_.data() + offset;
  }

  void barrier(int thread) { wait(thread, State::at_barrier); }
  /// Leaves `bytes` of every lane where the others of its warp can read them; returns those of lane 0, the others follow.
  const std::byte* exchange(int thread, Meeting meeting, const void* value, std::size_t bytes) {
    const auto warp = static_cast<std::size_t>(thread / warp_size);
    const std::size_t half = static_cast<std::size_t>(meetings_[warp] % 2) * static_cast<std::size_t>(threads_);
    meeting_[static_cast<std::size_t>(thread)] = meeting;
    if (bytes > 0) std::memcpy(slots_.data() + (half + static_cast<std::size_t>(thread)) * slot_bytes, value, bytes);
    wait(thread, State::at_warp);
    return slots_.data() + (half + warp * warp_size) * slot_bytes;
  }

  void read(int thread, std::size_t offset, std::size_t bytes) {
    for (std::size_t i = offset; i < offset + bytes; i += Shadow::bytes) {
      Shadow& place = shadow_[i / Shadow::bytes];
      if (place.write.thread < 0) fail("thread ", thread, " reads byte ", i, " of shared memory, which nobody has written");
      if (unordered(place.write, thread)) race(thread, "reads", i, place.write, "wrote");
      const bool first = place.reads[0][0].thread / warp_size == thread / warp_size || place.reads[0][0].epoch != epoch_ || place.reads[0][0].thread < 0;
      Access(&mine)[2] = place.reads[first ? 0 : 1];
      if (mine[0].thread != thread) mine[1] = mine[0];
      mine[0] = now(thread);
    }
  }
  void write(int thread, std::size_t offset, std::size_t bytes) {
    for (std::size_t i = offset; i < offset + bytes; i += Shadow::bytes) {
      Shadow& place = shadow_[i / Shadow::bytes];
      if (unordered(place.write, thread)) race(thread, "writes", i, place.write, "wrote");
      for (const auto& warp : place.reads)
        for (const Access& read : warp)
          if (unordered(read, thread)) race(thread, "writes", i, read, "read");
      place.write = now(thread);
    }
  }

 private:
  enum class State { ready, at_barrier, at_warp, done };
  State& at(int thread) { return state_[static_cast<std::size_t>(thread)]; }
  Access now(int thread) const { return {thread, epoch_, warp_epoch_[static_cast<std::size_t>(thread / warp_size)]}; }
  bool unordered(const Access& before, int thread) const {
    if (before.thread < 0 || before.thread == thread || before.epoch != epoch_) return false;
    const int warp = thread / warp_size;
    return before.thread / warp_size != warp || before.warp_epoch == warp_epoch_[static_cast<std::size_t>(warp)];
  }
  [[noreturn]] void race(int thread, const char* does, std::size_t byte, const Access& other, const char* did) {
    fail("thread ", thread, " ", does, " byte ", byte, " of shared memory, which thread ", other.thread, " ", did, " since the last barrier");
  }
  template <class... What> [[noreturn]] void fail(const What&... what) const {
    throw Error("emulated", text("kernel '", name_, "', block ", x_, ", ", y_, ", ", z_, ": ", what...));
  }

  struct Stack {
    const void* bottom;
    std::size_t size;
  };
  struct Cancelled {};

  // Fibers change stacks behind AddressSanitizer's back, unless it is told.
  static void leave([[maybe_unused]] void** fake_stack, [[maybe_unused]] const Stack& to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fake_stack, to.bottom, to.size);
#endif
  }
  static void back([[maybe_unused]] void* fake_stack, [[maybe_unused]] Stack* from) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, from ? &from->bottom : nullptr, from ? &from->size : nullptr);
#endif
  }
  void arrived(void* fake_stack, boost::context::fiber&& scheduler) {
    back(fake_stack, &scheduler_stack_);
    scheduler_ = std::move(scheduler);
  }
  /// Lets thread i go on, until it waits or ends.
  void play(int i) {
    void* fake_stack = nullptr;
    leave(&fake_stack, stacks_[static_cast<std::size_t>(i)]);
    auto& fiber = fibers_[static_cast<std::size_t>(i)];
    fiber = std::move(fiber).resume();
    back(fake_stack, nullptr);
  }
  void wait(int thread, State state) {
    at(thread) = state;
    void* fake_stack = nullptr;
    leave(&fake_stack, scheduler_stack_);
    auto scheduler = std::move(scheduler_).resume();
    arrived(fake_stack, std::move(scheduler));
    if (cancelled_) throw Cancelled{};
  }
  void run() {
    for (;;) {
      bool progress = false;
      for (int turn = 0; turn < threads_; ++turn) {
        const int i = backwards() ? threads_ - 1 - turn : turn;
        if (at(i) != State::ready) continue;
        play(i);
        progress = true;
        if (error_) std::rethrow_exception(error_);
      }
      progress = release_warps() || progress;
      if (release(0, threads_, State::at_barrier)) {
        ++epoch_;
        progress = true;
      }
      if (count(0, threads_, State::done) == threads_) return;
      if (!progress) stuck();
    }
  }
  bool release_warps() {
    bool any = false;
    for (int w = 0; w < threads_ / warp_size; ++w)
      if (release(w * warp_size, warp_size, State::at_warp)) {
        const auto warp = static_cast<std::size_t>(w);
        const auto lanes = meeting_.begin() + w * warp_size;
        if (std::adjacent_find(lanes, lanes + warp_size, std::not_equal_to<>{}) != lanes + warp_size)
          fail("the lanes of warp ", w, " meet in different operations");
        ++meetings_[warp];
        if (*lanes == Meeting::sync) ++warp_epoch_[warp];
        any = true;
      }
    return any;
  }
  int count(int first, int n, State state) {
    int found = 0;
    for (int i = first; i < first + n; ++i) found += at(i) == state;
    return found;
  }
  bool release(int first, int n, State state) {
    if (count(first, n, state) != n) return false;
    for (int i = first; i < first + n; ++i) at(i) = State::ready;
    return true;
  }
  [[noreturn]] void stuck() {
    fail(count(0, threads_, State::at_barrier), " threads wait at a barrier and ", count(0, threads_, State::at_warp),
         " in a warp operation, which the others never reach; ", count(0, threads_, State::done), " have ended");
  }

  const char* name_;
  Index x_, y_, z_;
  int threads_;
  std::vector<std::byte> memory_;
  std::vector<Shadow> shadow_;
  std::vector<State> state_;
  std::vector<std::byte> slots_;
  std::vector<int> warp_epoch_, meetings_;
  std::vector<Meeting> meeting_;
  int epoch_ = 0;
  std::vector<boost::context::fiber> fibers_;
  std::vector<Stack> stacks_;
  boost::context::fiber scheduler_;
  Stack scheduler_stack_{};
  std::exception_ptr error_;
  bool cancelled_ = false;
};

/// Shared memory whose every use is looked at.
template <class T> class Shared {
 public:
  Shared(Block& block, int thread, std::size_t offset, int count)
      : block_(&block), thread_(thread), offset_(offset), count_(count), data_(reinterpret_cast<T*>(block.memory(offset, static_cast<std::size_t>(count) * sizeof(T)))) {}
  T operator[](int i) const { return load<1>(i)[0]; }
  void set(int i, T value) const { store<1>(i, Pack<T, 1>{{value}}); }
  template <int N> Pack<T, N> load(int i) const {
    block_->read(thread_, place(i, N), sizeof(T) * N);
    return backend::cuda::load<N>(static_cast<const T*>(data_ + i));
  }
  template <int N> void store(int i, const Pack<T, N>& pack) const {
    block_->write(thread_, place(i, N), sizeof(T) * N);
    backend::cuda::store<N>(data_ + i, pack);
  }

 private:
  std::size_t place(int i, int n) const {
    check(i >= 0 && i + n <= count_ && i % n == 0, "emulated", "elements ", i, " to ", i + n, " of a shared array of ", count_);
    return offset_ + static_cast<std::size_t>(i) * sizeof(T);
  }
  Block* block_;
  int thread_;
  std::size_t offset_;
  int count_;
  T* data_;
};

Index Thread::block() const { return block_->x(); }
Index Thread::block_y() const { return block_->y(); }
Index Thread::block_z() const { return block_->z(); }
void Thread::sync() { block_->barrier(thread_); }
void Thread::sync_warp() { block_->exchange(thread_, Meeting::sync, nullptr, 0); }
template <class T> T Thread::shuffle(T value, int lane) {
  static_assert(sizeof(T) <= Block::slot_bytes);
  T out;
  std::memcpy(&out, block_->exchange(thread_, Meeting::shuffle, &value, sizeof value) + static_cast<std::size_t>(lane % warp_size) * Block::slot_bytes, sizeof out);
  return out;
}
template <class T> auto Thread::shared(int count) {
  const std::size_t offset = used_;
  used_ += (static_cast<std::size_t>(count) * sizeof(T) + 15) / 16 * 16;
  return Shared<T>(*block_, thread_, offset, count);
}
template <class S> void Thread::copy_async(const S& to, int i, const bf16* from, bool inside) {
  check(reinterpret_cast<std::uintptr_t>(from) % 16 == 0, "emulated", "an asynchronous copy from an address that is not aligned to 16 bytes");
  to.template store<8>(i, Pack<bf16, 8>{});  // nobody else may use the place from now on
  copies_.push_back([=] { to.template store<8>(i, inside ? backend::cuda::load<8>(from) : Pack<bf16, 8>{}); });
  for (int k = 0; k < 8; ++k) to.set(i + k, std::bit_cast<bf16>(std::uint16_t{0x7fc0}));  // no number before it is waited for
}
inline void Thread::wait_async() {
  for (const auto& copy : copies_) copy();
  copies_.clear();
}
void Thread::mma(Accumulator& c, const Pair (&a)[4], Pair b0, Pair b1) {
  struct Fragments {
    Pair a[4], b[2];
  };
  Fragments mine{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  const std::byte* const all = block_->exchange(thread_, Meeting::mma, &mine, sizeof mine);
  const auto of = [&](int lane) {
    Fragments f;
    std::memcpy(&f, all + static_cast<std::size_t>(lane) * Block::slot_bytes, sizeof f);
    return f;
  };
  const auto half = [](Pair p, int i) { return std::bit_cast<float>(i == 0 ? p << 16 : p & 0xffff0000u); };
  for (int i = 0; i < 4; ++i) {
    const int row = lane() / 4 + i / 2 * 8, column = 2 * (lane() % 4) + i % 2;
    for (int k = 0; k < 16; ++k) {
      const Pair left = of(row % 8 * 4 + k % 8 / 2).a[row / 8 + k / 8 * 2], right = of(column * 4 + k % 8 / 2).b[k / 8];
      c.values[i] += half(left, k % 2) * half(right, k % 2);
    }
  }
}
template <bool Transposed, class S> void Thread::load_matrix(Pair (&to)[4], const S& from, int row_start) {
  check(row_start % 8 == 0, "emulated", "a matrix's row begins at element ", row_start, ", which is not aligned to 16 bytes");
  for (int matrix = 0; matrix < 4; ++matrix) {
    bf16 values[2];
    for (int i = 0; i < 2; ++i) {
      const int row = Transposed ? 2 * (lane() % 4) + i : lane() / 4, column = Transposed ? lane() / 4 : 2 * (lane() % 4) + i;
      values[i] = from[shuffle(row_start, matrix * 8 + row) + column];
    }
    to[matrix] = Pair{values[0].bits} | Pair{values[1].bits} << 16;
  }
}

/// Lists a kernel when the program starts, since it can be launched.
template <class Kernel> struct Listed {
  static std::string list() {
    const std::string full = __PRETTY_FUNCTION__;  // ... [with Kernel = ...; ...]
    const auto begin = full.find("Kernel = ") + 9;
    return *kernels().insert(full.substr(begin, full.find("; std::string", begin) - begin)).first;
  }
  static inline const std::string name = list();
};

template <class Kernel> void play(const Grid& grid, const Kernel& kernel) {
  played().insert(Listed<Kernel>::name);
  const auto turn = [](Index i, Index n) { return backwards() ? n - 1 - i : i; };
  for (Index z = 0; z < grid.z; ++z)
    for (Index y = 0; y < grid.y; ++y)
      for (Index x = 0; x < grid.x; ++x) Block(Kernel::name, kernel, grid, turn(x, grid.x), turn(y, grid.y), turn(z, grid.z));
}
template <class Step> void run_thrust(const Step& step) { step(::thrust::device); }

}  // namespace emulated
