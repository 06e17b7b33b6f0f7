// Softmax, a warp for each row, and losses.
#pragma once

#include <sfumato/backend/cuda/elementwise.hpp>

#include <cmath>

SFUMATO_BEGIN
namespace backend::cuda {

/// Of a row, in every lane: its largest element, and the sum of the exponentials of what lies below it.
template <class S> struct Exponentials {
  S largest, sum;
};
template <class S, class T, class Thread> SFUMATO_DEVICE Exponentials<S> exponentials(Thread& t, const T* x, Index width) {
  S largest = static_cast<S>(x[0]), sum = 0;
  for_row<1>(t, width, [&](Index j) { largest = static_cast<S>(x[j]) > largest ? static_cast<S>(x[j]) : largest; });
  largest = warp_max(t, largest);
  for_row<1>(t, width, [&](Index j) { sum += std::exp(static_cast<S>(x[j]) - largest); });
  return {largest, warp_sum(t, sum)};
}

/// y = softmax(x); with labels, also -log y[label] of each row to `losses`.
template <class T> struct Softmax {
  static constexpr int threads = row_threads;
  static constexpr const char* name = "softmax";
  using S = compute_t<T>;
  Index rows, width;
  const T* x;
  T* y;
  const int* labels;
  double* losses;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index r = warp_of_grid(t);
    if (r >= rows) return;
    const auto [largest, sum] = exponentials<S>(t, x + r * width, width);
    for_row<1>(t, width, [&, top = largest, factor = 1 / sum](Index j) {
      y[r * width + j] = static_cast<T>(std::exp(static_cast<S>(x[r * width + j]) - top) * factor);
    });
    if (labels != nullptr && t.lane() == 0)
      losses[r] = static_cast<double>(largest) - static_cast<double>(x[r * width + labels[r]]) + std::log(static_cast<double>(sum));
  }
};

/// d_x (+)= y (d_y - sum d_y y).
template <class T> struct SoftmaxBackward {
  static constexpr int threads = row_threads;
  static constexpr const char* name = "softmax_backward";
  using S = compute_t<T>;
  Index rows, width;
  const T *d_y, *y;
  T* d_x;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index r = warp_of_grid(t);
    if (r >= rows) return;
    S dot = 0;
    for_row<1>(t, width, [&](Index j) { dot += static_cast<S>(d_y[r * width + j]) * static_cast<S>(y[r * width + j]); });
    dot = warp_sum(t, dot);
    for_row<1>(t, width, [&](Index j) {
      const Index i = r * width + j;
      const S d = static_cast<S>(y[i]) * (static_cast<S>(d_y[i]) - dot);
      d_x[i] = static_cast<T>(accumulate != 0 ? static_cast<S>(d_x[i]) + d : d);
    });
  }
};

/// out = factor * sum of n numbers, by one warp in a fixed order.
template <class T> struct SumOfAll {
  static constexpr const char* name = "sum";
  static constexpr int threads = warp_size;
  const double* x;
  Index n;
  double factor;
  T* out;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    double sum = 0;
    for_row<1>(t, n, [&](Index j) { sum += x[j]; });
    sum = warp_sum(t, sum);
    if (t.lane() == 0) *out = static_cast<T>(factor * sum);
  }
};

/// Of each sample, and of each of its parts: weight * sum (x - target)^2, to `sums`.
template <class T> struct SquaredError {
  static constexpr const char* name = "weighted_mse";
  static constexpr int threads = 256, warps = threads / warp_size;
  static constexpr Index part = 8192;  ///< elements of a block
  const T *x, *target;
  const double* weight;
  Index size, parts;
  double* sums;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const auto shared = t.template shared<double>(warps);
    const Index sample = quotient(t.block(), parts), begin = (t.block() - sample * parts) * part, end = begin + part < size ? begin + part : size;
    double sum = 0;
    for (Index j = begin + t.thread(); j < end; j += threads) {
      const double d = static_cast<double>(x[sample * size + j]) - static_cast<double>(target[sample * size + j]);
      sum += d * d;
    }
    sum = warp_sum(t, sum);
    if (t.lane() == 0) shared.set(t.warp(), sum);
    t.sync();
    if (t.thread() > 0) return;
    for (int w = 1; w < warps; ++w) sum += shared[w];
    sums[t.block()] = weight[sample] * sum;
  }
};

/// d_x (+)= 2 d_loss weight[sample] (x - target) / elements; d_target its negative.
template <class T> struct WeightedMseBackward {
  static constexpr const char* name = "weighted_mse_backward";
  const compute_t<T>* d_loss;
  const T *x, *target;
  const double* weight;
  double factor;  ///< 2 / elements
  T *d_x, *d_target;
  Index accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index sample, Index i) const {
    using S = compute_t<T>;
    const S f = static_cast<S>(factor * static_cast<double>(*d_loss) * weight[sample]);
    auto d = load_as<V, S>(x + i);
    const auto wanted = load_as<V, S>(target + i);
    for (int j = 0; j < V; ++j) d[j] = f * (d[j] - wanted[j]);
    store_as<V>(d_x + i, d, accumulate != 0);
    if (d_target == nullptr) return;
    for (int j = 0; j < V; ++j) d[j] = -d[j];
    store_as<V>(d_target + i, d, accumulate != 0);
  }
};

/// d_x (+)= d_loss (probability - [class is the label]) / rows.
template <class T> struct CrossEntropyBackward {
  static constexpr const char* name = "cross_entropy_backward";
  const compute_t<T>* d_loss;
  const T* probabilities;
  const int* labels;
  T* d_x;
  double factor;  ///< 1 / rows
  Index classes, accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    using S = compute_t<T>;
    auto d = load_as<V, S>(probabilities + i);
    const S f = static_cast<S>(factor * static_cast<double>(*d_loss));
    const Index right = row * classes + labels[row] - i;
    for (int j = 0; j < V; ++j) d[j] = f * (d[j] - (j == right ? S(1) : S(0)));
    store_as<V>(d_x + i, d, accumulate != 0);
  }
};

struct LossKernels {
  template <class T, class Api> static void softmax(BasicCuda<Api>& b, Index rows, Index width, const T* x, T* y) {
    b.launch(grid_of_warps(rows), Softmax<T>{rows, width, x, y, nullptr, nullptr});
  }

  template <class T, class Api>
  static void softmax_backward(BasicCuda<Api>& b, Index rows, Index width, const T* d_y, const T* y, T* d_x, bool accumulate) {
    b.launch(grid_of_warps(rows), SoftmaxBackward<T>{rows, width, d_y, y, d_x, accumulate});
  }

  template <class T, class Api>
  static void cross_entropy(BasicCuda<Api>& b, Index rows, Index classes, const T* x, const int* labels, T* probabilities, compute_t<T>* loss) {
    b.template make_room<int>(rows);
    double* const losses = b.template scratch<double>(rows);
    b.launch(grid_of_warps(rows), Softmax<T>{rows, classes, x, probabilities, b.stage(labels, rows), losses});
    b.launch({}, SumOfAll<compute_t<T>>{losses, rows, 1.0 / static_cast<double>(rows), loss});
  }

  template <class T, class Api>
  static void cross_entropy_backward(BasicCuda<Api>& b, Index rows, Index classes, const compute_t<T>* d_loss, const T* probabilities, const int* labels, T* d_x,
                                     bool accumulate) {
    b.template make_room<int>(rows);
    launch_elementwise<T>(b, rows, classes,
                          CrossEntropyBackward<T>{d_loss, probabilities, b.stage(labels, rows), d_x, 1.0 / static_cast<double>(rows), classes, accumulate},
                          aligned(probabilities, d_x));
  }

  template <class T, class Api>
  static void weighted_mse(BasicCuda<Api>& b, Index batch, Index size, const T* x, const T* target, const double* weight, compute_t<T>* loss) {
    using Kernel = SquaredError<T>;
    const Index parts = (size + Kernel::part - 1) / Kernel::part;
    b.template make_room<double>(batch);
    double* const sums = b.template scratch<double>(batch * parts);
    b.launch({.x = batch * parts, .shared_bytes = Kernel::warps * Index(sizeof(double))}, Kernel{x, target, b.stage(weight, batch), size, parts, sums});
    b.launch({}, SumOfAll<compute_t<T>>{sums, batch * parts, 1.0 / static_cast<double>(batch * size), loss});
  }

  template <class T, class Api>
  static void weighted_mse_backward(BasicCuda<Api>& b, Index batch, Index size, const compute_t<T>* d_loss, const T* x, const T* target, const double* weight,
                                    T* d_x, Nullable<T> d_target, bool accumulate) {
    b.template make_room<double>(batch);
    launch_elementwise<T>(b, batch, size,
                          WeightedMseBackward<T>{d_loss, x, target, b.stage(weight, batch), 2.0 / static_cast<double>(batch * size), d_x, d_target, accumulate},
                          aligned(x, target, d_x, d_target));
  }
};

}  // namespace backend::cuda
SFUMATO_END
