// Reference: memory, matrix products, sums and copies.
#pragma once

#include <sfumato/backend/reference/memory.hpp>
#include <sfumato/backend/reference/pointwise.hpp>

#include <vector>

SFUMATO_BEGIN
namespace backend {

struct Reference;

namespace reference {

struct Memory {
  template <class T> static T* allocate(Reference&, Index n) { return allocate_host<T>(n); }
  static void deallocate(Reference&, void* memory) { deallocate_host(memory); }
  template <class T> static void upload(Reference&, T* dst, const T* host, Index n) { std::copy_n(host, n, dst); }
  template <class T> static void download(Reference&, T* host, const T* src, Index n) { std::copy_n(src, n, host); }
  template <class T> static void fill(Reference&, Index n, double value, T* x) {
    std::fill_n(x, n, static_cast<T>(value));
  }
  template <class F> static void for_each(Reference&, Index n, Index, const F& f) {
    for (Index i = 0; i < n; ++i) f(i);
  }
};

struct Matmul {
  template <class T> static void matmul(Reference&, const MatmulShape& s, const T* a, const T* b, T* c, bool accumulate,
                                        Nullable<const T> bias, Activation activation) {
    for (Index batch = 0; batch < s.batch; ++batch)
      for (Index i = 0; i < s.m; ++i)
        for (Index j = 0; j < s.n; ++j) {
          double sum = value_or(bias, j, 0);
          for (Index k = 0; k < s.k; ++k)
            sum += static_cast<double>(a[batch * s.a_batch + i * s.a_row + k * s.a_col]) *
                   static_cast<double>(b[batch * s.b_batch + k * s.b_row + j * s.b_col]);
          store(c[batch * s.c_batch + i * s.c_row + j], activate(activation, sum), accumulate);
        }
  }

  template <class T> static void column_sum(Reference&, Index rows, Index cols, const T* x, T* out) {
    for (Index j = 0; j < cols; ++j) {
      double sum = 0;
      for (Index r = 0; r < rows; ++r) sum += static_cast<double>(x[r * cols + j]);
      add(out, j, sum);
    }
  }

  template <class T> static void strided_copy(Reference&, const CopyShape& s, const T* src, T* dst, bool accumulate) {
    copy_loop(s, 0, src, dst, accumulate);
  }

  template <class From, class To> static void convert(Reference&, Index n, const From* x, To* y, bool accumulate) {
    for (Index i = 0; i < n; ++i) store(y[i], static_cast<double>(x[i]), accumulate);
  }

 private:
  /// Loop number `level` and, inside it, the others.
  template <class T> static void copy_loop(const CopyShape& s, int level, const T* src, T* dst, bool accumulate) {
    if (level == s.rank) return store(*dst, static_cast<double>(*src), accumulate);
    for (Index i = 0; i < s.extent[level]; ++i)
      copy_loop(s, level + 1, src + i * s.src_stride[level], dst + i * s.dst_stride[level], accumulate);
  }
};

}  // namespace reference
}  // namespace backend
SFUMATO_END
