// Strided copies on the CPU: permutations, broadcasts and, with accumulate, reductions.
#pragma once

#include <sfumato/backend/cpu/context.hpp>

#include <array>
#include <type_traits>

SFUMATO_BEGIN
namespace backend::cpu {

struct Copy {
  template <class T>
  static void strided_copy(Cpu& backend, const CopyShape& shape, const T* src, T* dst, bool accumulate) {
    const Loops loops = simplified(shape);
    if (loops.size == 0) return;
    // The outermost loop is shared out: simplified() has put one there that never writes an element twice, if there is
    // one.
    const Loop& outer = loops.loop[0];
    const bool divides = outer.dst != 0;
    const auto part = [&](Index begin, Index end, int) {
      for (Index i = begin; i < end; ++i) copy(loops, 1, src + i * outer.src, dst + i * outer.dst, accumulate);
    };
    if (loops.count == 1) {  // one loop only: as two, the outer of pieces
      backend.parallel(divides ? outer.extent : 1, loops.size, [&](Index begin, Index end, int) {
        innermost(Loop{divides ? end - begin : outer.extent, outer.src, outer.dst}, src + begin * outer.src,
                  dst + begin * outer.dst, accumulate);
      });
    } else if (divides) {
      backend.parallel(outer.extent, loops.size, part);
    } else {
      part(0, outer.extent, 0);
    }
  }

  template <class From, class To> static void convert(Cpu& backend, Index n, const From* x, To* y, bool accumulate) {
    using C = std::conditional_t<std::is_same_v<From, double> || std::is_same_v<To, double>, double, float>;
    backend.parallel(n, n, [&](Index begin, Index end, int) {
      for (Index i = begin; i < end; ++i) y[i] = static_cast<To>(accumulate ? static_cast<C>(y[i]) + static_cast<C>(x[i]) : static_cast<C>(x[i]));
    });
  }

 private:
  struct Loop {
    Index extent, src, dst;
  };
  struct Loops {
    std::array<Loop, CopyShape::max_rank> loop;
    int count = 0;
    Index size = 1;
  };

  /// Drops loops of extent 1, joins neighbours that walk on contiguously, and moves a loop to share out to the front.
  static Loops simplified(const CopyShape& s) {
    Loops out;
    for (int i = 0; i < s.rank; ++i) {
      const Loop next{s.extent[i], s.src_stride[i], s.dst_stride[i]};
      out.size *= next.extent;
      if (next.extent == 1) continue;
      if (out.count > 0) {
        Loop& last = out.loop[at(out.count - 1)];
        if (last.src == next.src * next.extent && last.dst == next.dst * next.extent) {
          last = {last.extent * next.extent, next.src, next.dst};
          continue;
        }
      }
      out.loop[at(out.count++)] = next;
    }
    if (out.count == 0) out.loop[at(out.count++)] = {1, 0, 0};
    int widest = 0;  // of the loops but the innermost: the order of the sums into one element must not change
    for (int i = 1; i + 1 < out.count; ++i)
      if (out.loop[at(i)].dst != 0 &&
          (out.loop[at(widest)].dst == 0 || out.loop[at(i)].extent > out.loop[at(widest)].extent))
        widest = i;
    for (int i = widest; i > 0; --i) std::swap(out.loop[at(i)], out.loop[at(i - 1)]);
    return out;
  }

  template <class T> static void copy(const Loops& loops, int level, const T* src, T* dst, bool accumulate) {
    const Loop& loop = loops.loop[at(level)];
    if (level + 1 == loops.count) return innermost(loop, src, dst, accumulate);
    for (Index i = 0; i < loop.extent; ++i) copy(loops, level + 1, src + i * loop.src, dst + i * loop.dst, accumulate);
  }

  template <class T> static void innermost(const Loop& loop, const T* src, T* dst, bool accumulate) {
    using C = compute_t<T>;
    if (accumulate && loop.dst == 0) {
      C sum = static_cast<C>(*dst);
      for (Index i = 0; i < loop.extent; ++i) sum += static_cast<C>(src[i * loop.src]);
      *dst = static_cast<T>(sum);
    } else if (accumulate) {
      for (Index i = 0; i < loop.extent; ++i)
        dst[i * loop.dst] = static_cast<T>(static_cast<C>(dst[i * loop.dst]) + static_cast<C>(src[i * loop.src]));
    } else if (loop.src == 1 && loop.dst == 1) {
      std::copy_n(src, loop.extent, dst);
    } else if (loop.src == 0 && loop.dst == 1) {
      std::fill_n(dst, loop.extent, *src);
    } else {
      for (Index i = 0; i < loop.extent; ++i) dst[i * loop.dst] = src[i * loop.src];
    }
  }

  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
};

}  // namespace backend::cpu
SFUMATO_END
