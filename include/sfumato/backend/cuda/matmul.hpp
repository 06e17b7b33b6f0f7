// Matrix products: what the library can do in one call, and what stands around it.
#pragma once

#include <sfumato/backend/cuda/movement.hpp>

#include <string>

SFUMATO_BEGIN
namespace backend::cuda {

/// A matrix with neighbours along its rows or, transposed, along its columns; `leading` elements to the next row or column.
template <class T> struct Operand {
  const T* data;
  Index transposed, leading, batch;
};

/// c (+)= a b, or activation(a b + bias), for `count` matrices, as a command. `Api::matmul(product)` computes it, `Api::plan(product)`
/// says whether it can.
template <class T> struct Product {
  static constexpr const char* name = "matmul";
  Index m, n, k, count;
  Operand<T> a, b;
  T* c;
  Index c_row, c_batch, accumulate;
  const T* bias;
  Index activation;

  template <class Api> Status prepare(Api& api) const { return api.plan(*this); }
  template <class Api> Status run(Api& api) const { return api.matmul(*this); }
  std::string describe() const {
    return text(m, " x ", n, " x ", k, ", ", count, count == 1 ? " matrix of " : " matrices of ", sizeof(T), "-byte elements", bias != nullptr ? ", with bias" : "");
  }
};

/// Whether cuBLASLt has bias and activation as an epilogue of the product. How exact its tanh is it does not say: so for bf16 alone.
template <class T> constexpr bool has_epilogue(bool bias, Activation activation) {
  if (activation == Activation::none && !bias) return true;
  if (activation == Activation::gelu_tanh) return std::is_same_v<T, bf16>;
  return !std::is_same_v<T, double> && (activation == Activation::none || activation == Activation::relu);
}

/// c = activation(c + bias) on rows of c; or, where there is nothing to multiply, of 0.
template <class T> struct BiasActivate {
  static constexpr const char* name = "bias_activation";
  T* c;
  const T* bias;
  Index n, m, c_row, c_batch, activation, from_zero;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    using S = compute_t<T>;
    const Index column = i - row * n, matrix = quotient(row, m);
    T* const at = c + matrix * c_batch + (row - matrix * m) * c_row + column;
    auto values = load_or<V, S>(from_zero != 0 ? nullptr : static_cast<const T*>(at), 0, S(0));
    const auto b = load_or<V, S>(bias, column, S(0));
    for (int j = 0; j < V; ++j) values[j] = activate(static_cast<Activation>(activation), values[j] + b[j]);
    store_as<V>(at, values);
  }
};

struct MatmulKernels {
  template <class T, class Api>
  static void matmul(BasicCuda<Api>& b, const MatmulShape& s, const T* x, const T* y, T* c, bool accumulate, Nullable<const T> bias, Activation activation) {
    if (s.m == 0 || s.n == 0 || s.batch == 0) return;
    if (s.k == 0 && accumulate) return;
    bool fused = s.k > 0 && has_epilogue<T>(bias != nullptr, activation);
    if (s.k > 0) {
      Operand<T> left{x, 0, 0, s.a_batch}, right{y, 0, 0, s.b_batch};
      const bool left_fits = fits(left, s.m, s.k, s.a_row, s.a_col), right_fits = fits(right, s.k, s.n, s.b_row, s.b_col);
      const Index left_count = s.a_batch == 0 ? 1 : s.batch, right_count = s.b_batch == 0 ? 1 : s.batch;
      if (!left_fits || !right_fits) {
        const Index left_size = left_fits ? 0 : (left_count * s.m * s.k + 63) / 64 * 64;
        T* const packed = b.template scratch<T>(left_size + (right_fits ? 0 : right_count * s.k * s.n));
        if (!left_fits) pack(b, left, left_count, s.m, s.k, s.a_row, s.a_col, packed);
        if (!right_fits) pack(b, right, right_count, s.k, s.n, s.b_row, s.b_col, packed + left_size);
      }
      Product<T> product{s.m, s.n, s.k, s.batch, left, right, c, s.c_row, s.c_batch, accumulate, fused ? bias : nullptr,
                         static_cast<Index>(fused ? activation : Activation::none)};
      if (fused && (bias != nullptr || activation != Activation::none) && b.api().plan(product) != nullptr) {  // none for this shape, or not so aligned; what else is wrong shows when the rest runs
        fused = false;
        product.bias = nullptr;
        product.activation = static_cast<Index>(Activation::none);
      }
      b.submit(product);
    }
    if (fused) return;
    const BiasActivate<T> rest{c, bias, s.n, s.m, s.c_row, s.c_batch, static_cast<Index>(activation), s.k == 0};
    launch_elementwise<T>(b, s.batch * s.m, s.n, rest,
                          s.n % (16 / Index(sizeof(T))) == 0 && (s.m == 1 || aligned(c + s.c_row)) && (s.batch == 1 || aligned(c + s.c_batch)) && aligned(c, bias));
  }

 private:
  /// Whether the matrix can be given as it is.
  template <class T> static bool fits(Operand<T>& x, Index rows, Index columns, Index row, Index column) {
    if ((column == 1 || columns == 1) && (rows == 1 || row >= columns)) {
      x.leading = rows == 1 ? columns : row;
      return true;
    }
    if ((row == 1 || rows == 1) && (columns == 1 || column >= rows)) {
      x.transposed = 1;
      x.leading = columns == 1 ? rows : column;
      return true;
    }
    return false;
  }
  template <class T, class Api>
  static void pack(BasicCuda<Api>& b, Operand<T>& x, Index count, Index rows, Index columns, Index row, Index column, T* to) {
    const CopyShape copy{.rank = 3, .extent = {count, rows, columns}, .src_stride = {x.batch, row, column}, .dst_stride = {rows * columns, columns, 1}};
    MovementKernels::strided_copy(b, copy, x.data, to, false);
    x = {to, 0, columns, x.batch == 0 ? 0 : rows * columns};
  }
};

}  // namespace backend::cuda
SFUMATO_END
