// Copies between layouts: each element of the destination is one thread's, so that sums have an order.
#pragma once

#include <sfumato/backend/cuda/elementwise.hpp>

#include <algorithm>
#include <array>

SFUMATO_BEGIN
namespace backend::cuda {

/// Nested loops over a source and a destination, the last one innermost.
struct Loops {
  Index rank = 0;
  Index extent[CopyShape::max_rank] = {}, src[CopyShape::max_rank] = {}, dst[CopyShape::max_rank] = {};

  Index size() const {
    Index n = 1;
    for (Index i = 0; i < rank; ++i) n *= extent[i];
    return n;
  }
  void push(Index count, Index src_stride, Index dst_stride) {
    // One loop where the one outside of it goes on where it ends.
    if (rank > 0 && src[rank - 1] == count * src_stride && dst[rank - 1] == count * dst_stride) {
      extent[rank - 1] *= count;
      src[rank - 1] = src_stride;
      dst[rank - 1] = dst_stride;
    } else {
      extent[rank] = count;
      src[rank] = src_stride;
      dst[rank++] = dst_stride;
    }
  }
  /// Offsets in source and destination of round `i` of all.
  SFUMATO_DEVICE void place(Index i, Index& source, Index& destination) const {
    for (Index level = rank; level-- > 0;) {
      const Index next = quotient(i, extent[level]), at = i - next * extent[level];
      source += at * src[level];
      destination += at * dst[level];
      i = next;
    }
  }
};

/// V neighbours of the destination (+)= the sum of theirs over the loops `sums`.
template <class T, int V> struct StridedCopy {
  static constexpr const char* name = "strided_copy";
  static constexpr int threads = 256;
  Loops loops, sums;
  Index count, terms;
  const T* src;
  T* dst;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    using S = compute_t<T>;
    const Index i = (t.block() * threads + t.thread()) * V;
    if (i >= count) return;
    Index source = 0, destination = 0;
    loops.place(i, source, destination);
    if (terms == 1 && accumulate == 0) return store<V>(dst + destination, load<V>(src + source));  // bits, NaN's too
    auto sum = load_as<V, S>(src + source);
    for (Index term = 1; term < terms; ++term) {
      Index at = source, nowhere = 0;
      sums.place(term, at, nowhere);
      const auto values = load_as<V, S>(src + at);
      for (int k = 0; k < V; ++k) sum[k] += values[k];
    }
    store_as<V>(dst + destination, sum, true);
  }
};

/// The same for few destinations with many terms: a warp for each.
template <class T> struct StridedSum {
  static constexpr const char* name = "strided_sum";
  static constexpr int threads = row_threads;
  Loops loops, sums;
  Index count, terms;
  const T* src;
  T* dst;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    using S = compute_t<T>;
    const Index i = warp_of_grid(t);
    if (i >= count) return;
    Index source = 0, destination = 0;
    loops.place(i, source, destination);
    S sum = 0;
    for_row<1>(t, terms, [&](Index term) {
      Index at = source, nowhere = 0;
      sums.place(term, at, nowhere);
      sum += static_cast<S>(src[at]);
    });
    sum = warp_sum(t, sum);
    if (t.lane() == 0) dst[destination] = static_cast<T>(static_cast<S>(dst[destination]) + sum);
  }
};

struct MovementKernels {
  template <class T, class Api> static void strided_copy(BasicCuda<Api>& b, const CopyShape& s, const T* src, T* dst, bool accumulate) {
    std::array<int, CopyShape::max_rank> order{};
    int rank = 0;
    for (int i = 0; i < s.rank; ++i) {
      if (s.extent[i] == 0) return;
      if (s.extent[i] > 1) order[static_cast<std::size_t>(rank++)] = i;
    }
    std::stable_sort(order.begin(), order.begin() + rank, [&](int i, int j) { return s.dst_stride[i] > s.dst_stride[j]; });  // neighbours write neighbours
    Loops loops, sums;
    for (int k = 0; k < rank; ++k) {
      const int i = order[static_cast<std::size_t>(k)];
      if (s.dst_stride[i] != 0) loops.push(s.extent[i], s.src_stride[i], s.dst_stride[i]);
      else if (accumulate) sums.push(s.extent[i], s.src_stride[i], 0);
      else src += (s.extent[i] - 1) * s.src_stride[i];  // the last one stays
    }
    const Index count = loops.size(), terms = sums.size();
    if (terms >= 64 && count < 16384) return b.launch(grid_of_warps(count), StridedSum<T>{loops, sums, count, terms, src, dst});

    constexpr int widest = 16 / static_cast<int>(sizeof(T));
    const auto launch = [&]<int V>(std::integral_constant<int, V>) {
      constexpr Index part = Index{StridedCopy<T, V>::threads} * V;
      b.launch({.x = (count + part - 1) / part}, StridedCopy<T, V>{loops, sums, count, terms, src, dst, accumulate});
    };
    const Index last = loops.rank - 1;
    bool packs = loops.rank > 0 && loops.src[last] == 1 && loops.dst[last] == 1 && loops.extent[last] % widest == 0 && aligned(src, dst);
    for (Index i = 0; i < last; ++i) packs = packs && loops.src[i] % widest == 0 && loops.dst[i] % widest == 0;
    for (Index i = 0; i < sums.rank; ++i) packs = packs && sums.src[i] % widest == 0;
    if (packs) launch(std::integral_constant<int, widest>{});
    else launch(std::integral_constant<int, 1>{});
  }
};

}  // namespace backend::cuda
SFUMATO_END
