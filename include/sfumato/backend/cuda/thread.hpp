// The words that kernels are written in.
//
// A kernel is a trivially copyable struct of its arguments with
//   static constexpr const char* name;
//   static constexpr int threads;                                       // of a block
//   template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const;
// and `Thread` is one thread of a block: `DeviceThread` in code for GPUs, a fiber in the tests, where each block is played
// on the CPU. All 32 lanes of a warp call `shuffle`, `shuffle_xor`, `sync_warp`, `mma` and `load_matrix` together, all threads
// of a block `sync`.
#pragma once

#include <sfumato/base/element.hpp>
#include <sfumato/base/error.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__CUDACC__)
#define SFUMATO_DEVICE __device__
#define SFUMATO_DEVICE_UNROLL _Pragma("unroll")
#else
#define SFUMATO_DEVICE
#define SFUMATO_DEVICE_UNROLL
#endif

SFUMATO_BEGIN
namespace backend::cuda {

/// How many blocks a kernel is launched on, and the dynamic shared memory of each.
struct Grid {
  Index x = 1, y = 1, z = 1;
  Index shared_bytes = 0;
};

inline constexpr int warp_size = 32;

/// a / b, in 32 bits where they suffice: GPUs have no instruction for division. Neither is negative.
SFUMATO_DEVICE inline Index quotient(Index a, Index b) {
  return (a | b) >> 32 == 0 ? static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b) : a / b;
}

/// N neighbours, moved as one.
template <class T, int N> struct alignas(sizeof(T) * N) Pack {
  T values[N];
  SFUMATO_DEVICE T operator[](int i) const { return values[i]; }
  SFUMATO_DEVICE T& operator[](int i) { return values[i]; }
};
#if !defined(__CUDACC__)
/// A GPU faults where this throws.
template <int N, class T> void check_aligned(const T* place) {
  check(reinterpret_cast<std::uintptr_t>(place) % (sizeof(T) * N) == 0, "cuda-kernel", N, " elements of ", sizeof(T), " bytes are moved at once, not aligned to that");
}
#else
template <int N, class T> SFUMATO_DEVICE void check_aligned(const T*) {}
#endif
template <int N, class T> SFUMATO_DEVICE Pack<T, N> load(const T* from) {
  check_aligned<N>(from);
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <int N, class T> SFUMATO_DEVICE void store(T* to, const Pack<T, N>& pack) {
  check_aligned<N>(to);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

/// Two bf16 in a register, the first in the lower half.
using Pair = std::uint32_t;
SFUMATO_DEVICE inline Pair pair(float first, float second) {
#if defined(__CUDA_ARCH__)
  Pair both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
#else
  return Pair{bf16(first).bits} | Pair{bf16(second).bits} << 16;
#endif
}

/// The accumulator of `mma`: lane l holds rows l / 4 and l / 4 + 8, columns 2 (l % 4) and the next, of 16 x 8.
struct Accumulator {
  float values[4] = {0, 0, 0, 0};  ///< (row, column), (row, column + 1), (row + 8, column), (row + 8, column + 1)
};

#if defined(__CUDACC__)
/// Dynamic shared memory of a block, as elements of T.
template <class T> class DeviceShared {
 public:
  SFUMATO_DEVICE explicit DeviceShared(T* data) : data_(data) {}
  SFUMATO_DEVICE T operator[](int i) const { return data_[i]; }
  SFUMATO_DEVICE void set(int i, T value) const { data_[i] = value; }
  template <int N> SFUMATO_DEVICE Pack<T, N> load(int i) const { return cuda::load<N>(static_cast<const T*>(data_ + i)); }
  template <int N> SFUMATO_DEVICE void store(int i, const Pack<T, N>& pack) const { cuda::store<N>(data_ + i, pack); }
  SFUMATO_DEVICE const T* at(int i) const { return data_ + i; }

 private:
  T* data_;
};

/// A thread of a GPU.
class DeviceThread {
 public:
  SFUMATO_DEVICE int thread() const { return static_cast<int>(threadIdx.x); }
  SFUMATO_DEVICE int lane() const { return thread() % warp_size; }
  SFUMATO_DEVICE int warp() const { return thread() / warp_size; }
  SFUMATO_DEVICE Index block() const { return blockIdx.x; }
  SFUMATO_DEVICE Index block_y() const { return blockIdx.y; }
  SFUMATO_DEVICE Index block_z() const { return blockIdx.z; }

  SFUMATO_DEVICE void sync() const { __syncthreads(); }
  SFUMATO_DEVICE void sync_warp() const { __syncwarp(); }
  template <class T> SFUMATO_DEVICE T shuffle_xor(T value, int mask) const { return __shfl_xor_sync(0xffffffffu, value, mask); }
  template <class T> SFUMATO_DEVICE T shuffle(T value, int lane) const { return __shfl_sync(0xffffffffu, value, lane); }

  /// The next `count` elements of the block's dynamic shared memory; the same calls in every thread.
  template <class T> SFUMATO_DEVICE DeviceShared<T> shared(int count) {
    extern __shared__ __align__(16) std::byte memory[];
    T* const data = reinterpret_cast<T*>(memory + used_);
    used_ += (count * static_cast<int>(sizeof(T)) + 15) / 16 * 16;
    return DeviceShared<T>(data);
  }

  /// Begins to copy 8 elements, or zeros where they are not `inside`, to shared memory; `wait_async` waits for all that this
  /// thread began.
  SFUMATO_DEVICE void copy_async(const DeviceShared<bf16>& to, int i, const bf16* from, bool inside) const {
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to.at(i)));
    const int bytes = inside ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
  }
  SFUMATO_DEVICE void wait_async() const { asm volatile("cp.async.wait_all;" ::: "memory"); }

  /// c += a b for a 16 x 16, b 16 x 8. Lane l holds, with g = l / 4 and j = 2 (l % 4): a (g, j), (g + 8, j), (g, j + 8),
  /// (g + 8, j + 8), and b (j, g), (j + 8, g), a pair of neighbours along the inner extent each.
  SFUMATO_DEVICE void mma(Accumulator& c, const Pair (&a)[4], Pair b0, Pair b1) const {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c.values[0]), "+f"(c.values[1]), "+f"(c.values[2]), "+f"(c.values[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }

  /// Four 8 x 8 matrices: lane l names row l % 8 of matrix l / 8 by its first element, and receives of each matrix the pair
  /// at row l / 4, column 2 (l % 4); transposed: the column l / 4 at rows 2 (l % 4) and the next.
  template <bool Transposed> SFUMATO_DEVICE void load_matrix(Pair (&to)[4], const DeviceShared<bf16>& from, int row_start) const {
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(from.at(row_start)));
    if constexpr (Transposed)
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(address) : "memory");
    else
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(address) : "memory");
  }

 private:
  int used_ = 0;
};

/// What every kernel is launched as.
template <class Kernel> __global__ void __launch_bounds__(Kernel::threads) run_kernel(const __grid_constant__ Kernel kernel) {
  DeviceThread thread;
  kernel(thread);
}
#endif

/// Threads of a block of kernels that have a warp for each row.
inline constexpr int row_threads = 128;
template <class Thread> SFUMATO_DEVICE Index warp_of_grid(Thread& t) { return t.block() * (row_threads / warp_size) + t.warp(); }
inline Grid grid_of_warps(Index warps) { return {.x = (warps + row_threads / warp_size - 1) / (row_threads / warp_size)}; }

/// The sum over groups of `lanes` neighbours, a power of two, in each of them.
template <class Thread, class T> SFUMATO_DEVICE T group_sum(Thread& t, T value, int lanes) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) value += t.shuffle_xor(value, mask);
  return value;
}
/// The sum over a warp, in every lane.
template <class Thread, class T> SFUMATO_DEVICE T warp_sum(Thread& t, T value) { return group_sum(t, value, warp_size); }
/// The largest of a group, and of a warp.
template <class Thread, class T> SFUMATO_DEVICE T group_max(Thread& t, T value, int lanes) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) {
    const T other = t.shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}
template <class Thread, class T> SFUMATO_DEVICE T warp_max(Thread& t, T value) { return group_max(t, value, warp_size); }

/// Calls f(j) for the lane's share of a row: every V-th j in [0, width), the lanes side by side.
template <int V, class Thread, class F> SFUMATO_DEVICE void for_row(Thread& t, Index width, const F& f) {
  for (Index j = Index{t.lane()} * V; j < width; j += Index{warp_size} * V) f(j);
}

/// x[j ...], or `otherwise` where there is no x.
template <int V, class S, class T> SFUMATO_DEVICE Pack<S, V> load_or(const T* x, Index j, S otherwise) {
  Pack<S, V> out;
  if (x == nullptr) {
    for (int i = 0; i < V; ++i) out[i] = otherwise;
  } else {
    const Pack<T, V> pack = load<V>(x + j);
    for (int i = 0; i < V; ++i) out[i] = static_cast<S>(pack[i]);
  }
  return out;
}
template <int V, class S, class T> SFUMATO_DEVICE Pack<S, V> load_as(const T* x) {
  const Pack<T, V> pack = load<V>(x);
  Pack<S, V> out;
  for (int i = 0; i < V; ++i) out[i] = static_cast<S>(pack[i]);
  return out;
}
/// to = values, or += where `accumulate`.
template <int V, class S, class T> SFUMATO_DEVICE void store_as(T* to, Pack<S, V> values, bool accumulate = false) {
  if (accumulate) {
    const Pack<S, V> old = load_as<V, S>(to);
    for (int i = 0; i < V; ++i) values[i] += old[i];
  }
  if constexpr (std::is_same_v<T, bf16> && std::is_same_v<S, float> && V % 2 == 0) {
    Pack<Pair, V / 2> out;
    for (int i = 0; i < V; i += 2) out[i / 2] = pair(values[i], values[i + 1]);
    store<V>(to, std::bit_cast<Pack<T, V>>(out));
  } else {
    Pack<T, V> out;
    for (int i = 0; i < V; ++i) out[i] = static_cast<T>(values[i]);
    store<V>(to, out);
  }
}

}  // namespace backend::cuda
SFUMATO_END
