// Kernels that treat every element alike: V neighbours a thread, which move as one.
#pragma once

#include <sfumato/backend/activations.hpp>
#include <sfumato/backend/cuda/device.hpp>
#include <sfumato/backend/cuda/thread.hpp>
#include <sfumato/base/random.hpp>

#include <cmath>
#include <cstdint>
#include <type_traits>

SFUMATO_BEGIN
namespace backend::cuda {

/// A pointer that may be null: not deduced from, so that a plain `nullptr` can be passed.
template <class T> using Nullable = std::type_identity_t<T>*;

/// f.apply<V>(sample, i): elements i to i + V of `total` in samples of `size`, neighbours of one sample. V divides `size`
/// unless there is but one sample.
template <class F, int V> struct Elementwise {
  static constexpr const char* name = F::name;
  static constexpr int threads = 256;
  Index size, total;
  F f;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index first = (t.block() * threads + t.thread()) * V, sample = size == total ? 0 : quotient(first, size);
    if (first + V <= total) {
      f.template apply<V>(sample, first);
    } else {
      for (Index i = first; i < total; ++i) f.template apply<1>(sample, i);
    }
  }
};

template <class T> struct Activate {
  static constexpr const char* name = "activation";
  const T* x;
  T* y;
  Index kind;

  template <int V> SFUMATO_DEVICE void apply(Index, Index i) const {
    auto values = load_as<V, compute_t<T>>(x + i);
    for (int j = 0; j < V; ++j) values[j] = activate(static_cast<Activation>(kind), values[j]);
    store_as<V>(y + i, values);
  }
};

template <class T> struct ActivateBackward {
  static constexpr const char* name = "activation_backward";
  const T *d_y, *x;
  T* d_x;
  Index kind, accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index, Index i) const {
    auto d = load_as<V, compute_t<T>>(d_y + i);
    const auto values = load_as<V, compute_t<T>>(x + i);
    for (int j = 0; j < V; ++j) d[j] *= activate_derivative(static_cast<Activation>(kind), values[j]);
    store_as<V>(d_x + i, d, accumulate != 0);
  }
};

/// 1 / (1 + exp(-x)) for a result in T: where that is bf16, by what a GPU has in hardware, of fewer instructions. Off by some
/// 2 + 1.2 |x| units of f32's last place (CUDA C++ Programming Guide, intrinsic functions), far below bf16's.
template <class T, class S> SFUMATO_DEVICE S sigmoid_for(S x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, bf16>) return __fdividef(1.0f, 1.0f + __expf(-x));
#endif
  return sigmoid(x);
}

/// A sample is a row of `hidden`, x and d_x rows of 2 hidden: [gate | value].
template <class T> struct SwiGlu {
  static constexpr const char* name = "swiglu";
  const T* x;
  T* y;
  Index hidden;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    auto gate = load_as<V, compute_t<T>>(x + row * hidden + i);
    const auto value = load_as<V, compute_t<T>>(x + row * hidden + i + hidden);
    for (int j = 0; j < V; ++j) gate[j] = gate[j] * sigmoid_for<T>(gate[j]) * value[j];
    store_as<V>(y + i, gate);
  }
};

template <class T> struct SwiGluBackward {
  static constexpr const char* name = "swiglu_backward";
  const T *d_y, *x;
  T* d_x;
  Index hidden, accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    const Index at = row * hidden + i;
    auto gate = load_as<V, compute_t<T>>(x + at), value = load_as<V, compute_t<T>>(x + at + hidden);
    const auto d = load_as<V, compute_t<T>>(d_y + i);
    for (int j = 0; j < V; ++j) {
      const compute_t<T> g = gate[j], s = sigmoid_for<T>(g);
      gate[j] = d[j] * value[j] * silu_derivative(g, s);
      value[j] = d[j] * g * s;
    }
    store_as<V>(d_x + at, gate, accumulate != 0);
    store_as<V>(d_x + at + hidden, value, accumulate != 0);
  }
};

template <class T> struct Multiply {
  static constexpr const char* name = "multiply";
  const T *x, *y;
  T* out;
  Index accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index, Index i) const {
    auto values = load_as<V, compute_t<T>>(x + i);
    const auto other = load_as<V, compute_t<T>>(y + i);
    for (int j = 0; j < V; ++j) values[j] *= other[j];
    store_as<V>(out + i, values, accumulate != 0);
  }
};

/// y (+)= x in another type of element.
template <class From, class To> struct Convert {
  static constexpr const char* name = "convert";
  const From* x;
  To* y;
  Index accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index, Index i) const {
    using S = std::conditional_t<std::is_same_v<From, double> || std::is_same_v<To, double>, double, float>;
    store_as<V>(y + i, load_as<V, S>(x + i), accumulate != 0);
  }
};

/// out (+)= alpha[sample] x + beta[sample] y; y may be null.
template <class T> struct LinearCombination {
  static constexpr const char* name = "linear_combination";
  const double *alpha, *beta;
  const T *x, *y;
  T* out;
  Index accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index sample, Index i) const {
    using S = compute_t<T>;
    auto values = load_as<V, S>(x + i);
    const S a = static_cast<S>(alpha[sample]);
    for (int j = 0; j < V; ++j) values[j] *= a;
    if (y != nullptr) {
      const S b = static_cast<S>(beta[sample]);
      const auto other = load_as<V, S>(y + i);
      for (int j = 0; j < V; ++j) values[j] += b * other[j];
    }
    store_as<V>(out + i, values, accumulate != 0);
  }
};

/// What a random kernel draws from; staged, since it is another at every step.
struct Draw {
  Random random;
  std::uint64_t first;

  /// Calls f(j, words, k) for the numbers first + i + j of the stream: word k of `words`, drawn once for neighbours.
  template <int V, class F> SFUMATO_DEVICE void for_each(Index i, const F& f) const {
    const std::uint64_t begin = first + static_cast<std::uint64_t>(i);
    std::uint64_t block = begin / 4;
    auto words = random.words(block);
    for (int j = 0; j < V; ++j) {
      const std::uint64_t index = begin + static_cast<std::uint64_t>(j);
      if (index / 4 != block) words = random.words(block = index / 4);
      f(j, words, static_cast<int>(index % 4));
    }
  }
};

template <class T> struct Normal {
  static constexpr const char* name = "normal";
  const Draw* draw;
  double scale;
  T* out;

  template <int V> SFUMATO_DEVICE void apply(Index, Index i) const {
    Pack<T, V> values;
    draw->for_each<V>(i, [&](int j, const auto& words, int k) { values[j] = static_cast<T>(scale * Random::normal_of(words, k)); });
    store<V>(out + i, values);
  }
};

template <class T> struct Dropout {
  static constexpr const char* name = "dropout";
  const Draw* draw;
  double rate;
  const T* x;
  T* y;
  Index accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index, Index i) const {
    using S = compute_t<T>;
    auto values = load_as<V, S>(x + i);
    const S kept = static_cast<S>(1 / (1 - rate));
    draw->for_each<V>(i, [&](int j, const auto& words, int k) {
      values[j] = Random::uniform_of(words[static_cast<std::size_t>(k)]) >= rate ? values[j] * kept : S(0);
    });
    store_as<V>(y + i, values, accumulate != 0);
  }
};

/// AdamW and two averages, in one pass.
template <class T> struct Adam {
  static constexpr const char* name = "adamw";
  const AdamWStep* step;
  T* weight;
  const T* gradient;
  T *m, *v, *ema1, *ema2;

  template <int V> SFUMATO_DEVICE void apply(Index, Index i) const {
    using S = compute_t<T>;
    const AdamWStep s = *step;
    const S beta1 = static_cast<S>(s.beta1), rest1 = static_cast<S>(1 - s.beta1), beta2 = static_cast<S>(s.beta2),
            rest2 = static_cast<S>(1 - s.beta2), scale = static_cast<S>(s.gradient_scale),
            shrink = static_cast<S>(1 - s.learning_rate * s.weight_decay), rate = static_cast<S>(s.learning_rate / s.correction1),
            root = static_cast<S>(1 / s.correction2), epsilon = static_cast<S>(s.epsilon);
    auto w = load_as<V, S>(weight + i), first = load_as<V, S>(m + i), second = load_as<V, S>(v + i);
    const auto g = load_as<V, S>(gradient + i);
    for (int j = 0; j < V; ++j) {
      const S d = scale * g[j];
      first[j] = beta1 * first[j] + rest1 * d;
      second[j] = beta2 * second[j] + rest2 * d * d;
      w[j] = w[j] * shrink - rate * first[j] / (std::sqrt(second[j] * root) + epsilon);
    }
    store_as<V>(m + i, first);
    store_as<V>(v + i, second);
    store_as<V>(weight + i, w);
    average<V>(ema1, i, static_cast<S>(s.ema1_decay), static_cast<S>(1 - s.ema1_decay), w);
    average<V>(ema2, i, static_cast<S>(s.ema2_decay), static_cast<S>(1 - s.ema2_decay), w);
  }

 private:
  template <int V, class S> static SFUMATO_DEVICE void average(T* ema, Index i, S decay, S rest, const Pack<S, V>& w) {
    if (ema == nullptr) return;
    auto values = load_as<V, S>(ema + i);
    for (int j = 0; j < V; ++j) values[j] = decay * values[j] + rest * w[j];
    store_as<V>(ema + i, values);
  }
};

/// x + gate * h (no gate: 1), and its gradient by h; a sample is `rows_per_sample` rows, gates stand `stride` apart.
template <class X, class T> struct GatedResidual {
  static constexpr const char* name = "gated_residual";
  const X* x;
  const T *h, *gate;
  X* y;
  Index width, rows_per_sample, stride;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    auto values = load_as<V, compute_t<T>>(x + i);
    using S = compute_t<T>;
    const auto addend = load_as<V, S>(h + i), g = load_or<V, S>(gate, gate == nullptr ? 0 : quotient(row, rows_per_sample) * stride + (i - row * width), S(1));
    for (int j = 0; j < V; ++j) values[j] += g[j] * addend[j];
    store_as<V>(y + i, values);
  }
};
template <class X, class T> struct GatedResidualBackward {
  static constexpr const char* name = "gated_residual_backward";
  const X* d_y;
  const T* gate;
  T* d_h;
  Index width, rows_per_sample, stride, accumulate;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    auto d = load_as<V, compute_t<T>>(d_y + i);
    const auto g = load_as<V, compute_t<T>>(gate + quotient(row, rows_per_sample) * stride + (i - row * width));
    for (int j = 0; j < V; ++j) d[j] *= g[j];
    store_as<V>(d_h + i, d, accumulate != 0);
  }
};

/// Row labels[row] of the table.
template <class T> struct Embedding {
  static constexpr const char* name = "embedding";
  const T* table;
  const int* labels;
  T* y;
  Index width;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    store<V>(y + i, load<V>(table + labels[row] * width + (i - row * width)));
  }
};

/// Each row of the table that occurs gets the sum of its gradients, in the order of the samples.
template <class T> struct EmbeddingBackward {
  static constexpr const char* name = "embedding_backward";
  const T* d_y;
  const int* labels;
  T* d_table;
  Index n, width;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    const int label = labels[row];
    for (Index earlier = 0; earlier < row; ++earlier)
      if (labels[earlier] == label) return;
    auto sum = load_as<V, compute_t<T>>(d_y + i);
    for (Index later = row + 1; later < n; ++later) {
      if (labels[later] != label) continue;
      const auto d = load_as<V, compute_t<T>>(d_y + i + (later - row) * width);
      for (int j = 0; j < V; ++j) sum[j] += d[j];
    }
    store_as<V>(d_table + label * width + (i - row * width), sum, true);
  }
};

/// Whether 16 bytes can be moved at once from each.
template <class... P> bool aligned(const P*... pointers) { return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...); }

/// Whether rows of `size` are whole packs of 16 bytes: asked where an array is indexed by more than the element's number.
template <class T> bool whole_packs(Index size) { return size % (16 / Index(sizeof(T))) == 0; }

/// Launches `f` on `samples` rows of `size` elements, 16 bytes a thread where the arrays are aligned to that and rows keep it so.
template <class T, class Api, class F> void launch_elementwise(BasicCuda<Api>& b, Index samples, Index size, const F& f, bool aligned) {
  constexpr int widest = 16 / static_cast<int>(sizeof(T));
  const auto launch = [&]<int V>(std::integral_constant<int, V>) {
    using Kernel = Elementwise<F, V>;
    constexpr Index part = Index{Kernel::threads} * V;
    b.launch(Grid{.x = (samples * size + part - 1) / part}, Kernel{size, samples * size, f});
  };
  if (aligned && (samples == 1 || size % widest == 0)) launch(std::integral_constant<int, widest>{});
  else launch(std::integral_constant<int, 1>{});
}

/// The elementwise kernels of the contract.
struct ElementwiseKernels {
  template <class T, class Api> static void activation(BasicCuda<Api>& b, Activation kind, Index n, const T* x, T* y) {
    launch_elementwise<T>(b, 1, n, Activate<T>{x, y, static_cast<Index>(kind)}, aligned(x, y));
  }
  template <class T, class Api>
  static void activation_backward(BasicCuda<Api>& b, Activation kind, Index n, const T* d_y, const T* x, T* d_x, bool accumulate) {
    launch_elementwise<T>(b, 1, n, ActivateBackward<T>{d_y, x, d_x, static_cast<Index>(kind), accumulate}, aligned(d_y, x, d_x));
  }
  template <class T, class Api> static void swiglu(BasicCuda<Api>& b, Index rows, Index hidden, const T* x, T* y) {
    launch_elementwise<T>(b, rows, hidden, SwiGlu<T>{x, y, hidden}, whole_packs<T>(hidden) && aligned(x, y));
  }
  template <class T, class Api>
  static void swiglu_backward(BasicCuda<Api>& b, Index rows, Index hidden, const T* d_y, const T* x, T* d_x, bool accumulate) {
    launch_elementwise<T>(b, rows, hidden, SwiGluBackward<T>{d_y, x, d_x, hidden, accumulate}, whole_packs<T>(hidden) && aligned(d_y, x, d_x));
  }
  template <class X, class T, class Api>
  static void gated_residual(BasicCuda<Api>& b, const RowShape& s, const X* x, const T* h, Nullable<const T> gate, X* y) {
    launch_elementwise<X>(b, s.rows, s.width, GatedResidual<X, T>{x, h, gate, y, s.width, s.rows_per_sample, s.modulation_stride},
                          aligned(x, h, y, gate) && (gate == nullptr || aligned(gate + s.modulation_stride)));
  }
  template <class T, class Api> static void multiply(BasicCuda<Api>& b, Index n, const T* x, const T* y, T* out, bool accumulate) {
    launch_elementwise<T>(b, 1, n, Multiply<T>{x, y, out, accumulate}, aligned(x, y, out));
  }
  template <class From, class To, class Api> static void convert(BasicCuda<Api>& b, Index n, const From* x, To* y, bool accumulate) {
    using Wider = std::conditional_t<(sizeof(From) > sizeof(To)), From, To>;  // its packs are of 16 bytes
    launch_elementwise<Wider>(b, 1, n, Convert<From, To>{x, y, accumulate}, aligned(x, y));
  }
  template <class T, class Api>
  static void linear_combination(BasicCuda<Api>& b, Index batch, Index size, const double* alpha, const T* x, const double* beta,
                                 Nullable<const T> y, T* out, bool accumulate) {
    b.template make_room<double>(2 * batch);
    const double* const a = b.stage(alpha, batch);
    launch_elementwise<T>(b, batch, size, LinearCombination<T>{a, y != nullptr ? b.stage(beta, batch) : nullptr, x, y, out, accumulate}, aligned(x, y, out));
  }
  template <class T, class Api>
  static void normal(BasicCuda<Api>& b, const Random& random, std::uint64_t first, Index n, double scale, T* out) {
    launch_elementwise<T>(b, 1, n, Normal<T>{draw(b, random, first), scale, out}, aligned(out));
  }
  template <class T, class Api>
  static void dropout(BasicCuda<Api>& b, const Random& random, std::uint64_t first, Index n, double rate, const T* x, T* y, bool accumulate) {
    launch_elementwise<T>(b, 1, n, Dropout<T>{draw(b, random, first), rate, x, y, accumulate}, aligned(x, y));
  }
  template <class T, class Api>
  static void adamw(BasicCuda<Api>& b, const AdamWStep& step, Index n, T* weight, const T* gradient, T* m, T* v, Nullable<T> ema1, Nullable<T> ema2) {
    b.template make_room<AdamWStep>(1);
    launch_elementwise<T>(b, 1, n, Adam<T>{b.stage(&step, 1), weight, gradient, m, v, ema1, ema2}, aligned(weight, gradient, m, v, ema1, ema2));
  }
  template <class T, class Api> static void embedding(BasicCuda<Api>& b, Index n, Index width, const T* table, const int* labels, T* y) {
    b.template make_room<int>(n);
    launch_elementwise<T>(b, n, width, Embedding<T>{table, b.stage(labels, n), y, width}, whole_packs<T>(width) && aligned(table, y));
  }
  template <class T, class Api>
  static void embedding_backward(BasicCuda<Api>& b, Index n, Index width, const T* d_y, const int* labels, T* d_table) {
    b.template make_room<int>(n);
    launch_elementwise<T>(b, n, width, EmbeddingBackward<T>{d_y, b.stage(labels, n), d_table, n, width}, whole_packs<T>(width) && aligned(d_y, d_table));
  }

 private:
  template <class Api> static const Draw* draw(BasicCuda<Api>& b, const Random& random, std::uint64_t first) {
    const Draw one{random, first};
    b.template make_room<Draw>(1);
    return b.stage(&one, 1);
  }
};

}  // namespace backend::cuda
SFUMATO_END
