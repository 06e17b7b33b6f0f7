// Elementwise kernels, losses, random numbers, copies and the optimiser on the CPU. f32 is vectorised; f64 and bf16 run
// the reference's loops over parts of the range.
#pragma once

#include <sfumato/backend/cpu/context.hpp>
#include <sfumato/backend/reference/reference.hpp>

SFUMATO_BEGIN
namespace backend::cpu {

struct Memory {
  template <class T> static T* allocate(Cpu&, Index n) { return reference::allocate_host<T>(n); }
  static void deallocate(Cpu&, void* memory) { reference::deallocate_host(memory); }
  template <class T> static void upload(Cpu&, T* dst, const T* host, Index n) { std::copy_n(host, n, dst); }
  template <class T> static void download(Cpu&, T* host, const T* src, Index n) { std::copy_n(src, n, host); }
  template <class T> static void fill(Cpu& backend, Index n, double value, T* x) {
    backend.parallel(n, n, [&](Index begin, Index end, int) { std::fill(x + begin, x + end, static_cast<T>(value)); });
  }
  template <class F> static void for_each(Cpu& backend, Index n, Index work, const F& f) {
    backend.parallel(n, work, [&](Index begin, Index end, int) {
      for (Index i = begin; i < end; ++i) f(i);
    });
  }
};

struct Elementwise {
  template <class T> static void activation(Cpu& backend, Activation kind, Index n, const T* x, T* y) {
    backend.parallel(n, n, [&](Index begin, Index end, int) {
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().activation(kind, end - begin, x + begin, y + begin);
      } else {
        Reference plain;
        reference::Pointwise::activation(plain, kind, end - begin, x + begin, y + begin);
      }
    });
  }

  template <class T> static void activation_backward(Cpu& backend, Activation kind, Index n, const T* d_y, const T* x,
                                                     T* d_x, bool accumulate) {
    backend.parallel(n, n, [&](Index begin, Index end, int) {
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().activation_backward(kind, end - begin, d_y + begin, x + begin, d_x + begin, accumulate);
      } else {
        Reference plain;
        reference::Pointwise::activation_backward(plain, kind, end - begin, d_y + begin, x + begin, d_x + begin,
                                                  accumulate);
      }
    });
  }

  template <class T> static void swiglu(Cpu& backend, Index rows, Index hidden, const T* x, T* y) {
    backend.parallel(rows, rows * hidden, [&](Index begin, Index end, int) {
      const Index at = begin * hidden;
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().swiglu(end - begin, hidden, x + 2 * at, y + at);
      } else {
        Reference plain;
        reference::Pointwise::swiglu(plain, end - begin, hidden, x + 2 * at, y + at);
      }
    });
  }

  template <class T> static void swiglu_backward(Cpu& backend, Index rows, Index hidden, const T* d_y, const T* x,
                                                 T* d_x, bool accumulate) {
    backend.parallel(rows, rows * hidden, [&](Index begin, Index end, int) {
      const Index at = begin * hidden;
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().swiglu_backward(end - begin, hidden, d_y + at, x + 2 * at, d_x + 2 * at, accumulate);
      } else {
        Reference plain;
        reference::Pointwise::swiglu_backward(plain, end - begin, hidden, d_y + at, x + 2 * at, d_x + 2 * at,
                                              accumulate);
      }
    });
  }

  template <class T> static void multiply(Cpu& backend, Index n, const T* x, const T* y, T* out, bool accumulate) {
    backend.parallel(n, n, [&](Index begin, Index end, int) {
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().multiply(end - begin, x + begin, y + begin, out + begin, accumulate);
      } else {
        Reference plain;
        reference::Pointwise::multiply(plain, end - begin, x + begin, y + begin, out + begin, accumulate);
      }
    });
  }

  /// loss[0] = mean over samples of weight[b] * mean_j (x[b, j] - target[b, j])^2.
  template <class T> static void weighted_mse(Cpu& backend, Index batch, Index size, const T* x, const T* target,
                                              const double* weight, compute_t<T>* loss) {
    double total = 0;
    for (Index b = 0; b < batch; ++b)
      total += weight[b] * square_sum(backend, size, x + b * size, target + b * size) / static_cast<double>(size);
    loss[0] = static_cast<compute_t<T>>(total / static_cast<double>(batch));
  }

  template <class T> static void weighted_mse_backward(Cpu& backend, Index batch, Index size, const compute_t<T>* d_loss,
                                                       const T* x, const T* target, const double* weight, T* d_x,
                                                       reference::Nullable<T> d_target, bool accumulate) {
    for_pieces(backend, batch, size, [&](Index b, Index at, Index n) {
      T* const d_other = d_target != nullptr ? d_target + at : nullptr;
      if constexpr (std::is_same_v<T, float>) {
        const double factor = 2 * static_cast<double>(d_loss[0]) * weight[b] / static_cast<double>(batch * size);
        backend.simd().scaled_difference(n, static_cast<float>(factor), x + at, target + at, d_x + at, d_other,
                                         accumulate);
      } else {
        Reference plain;  // to which the piece is the whole batch
        const double share = weight[b] * static_cast<double>(n) / static_cast<double>(batch * size);
        reference::Pointwise::weighted_mse_backward(plain, 1, n, d_loss, x + at, target + at, &share, d_x + at, d_other,
                                                    accumulate);
      }
    });
  }

  template <class T> static void linear_combination(Cpu& backend, Index batch, Index size, const double* alpha,
                                                    const T* x, const double* beta, reference::Nullable<const T> y,
                                                    T* out, bool accumulate) {
    for_pieces(backend, batch, size, [&](Index b, Index at, Index n) {
      const double factor = y != nullptr ? beta[b] : 0;
      const T* const other = y != nullptr ? y + at : nullptr;
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().linear_combination(n, static_cast<float>(alpha[b]), x + at, static_cast<float>(factor), other,
                                          out + at, accumulate);
      } else {
        Reference plain;
        reference::Pointwise::linear_combination(plain, 1, n, alpha + b, x + at, &factor, other, out + at, accumulate);
      }
    });
  }

  template <class T> static void dropout(Cpu& backend, Random random, std::uint64_t first, Index n, double rate,
                                         const T* x, T* y, bool accumulate) {
    using C = compute_t<T>;
    const C scale = static_cast<C>(1 / (1 - rate));
    backend.parallel(n, n * 8, [&](Index begin, Index end, int) {
      std::array<std::uint32_t, 4> words{};
      for (Index i = begin; i < end; ++i) {
        const std::uint64_t index = first + static_cast<std::uint64_t>(i);
        if (i == begin || index % 4 == 0) words = random.words(index / 4);
        const bool keep = (words[index % 4] + 0.5) * 0x1p-32 >= rate;  // Random::uniform
        const C value = keep ? static_cast<C>(x[i]) * scale : C(0);
        y[i] = static_cast<T>(accumulate ? static_cast<C>(y[i]) + value : value);
      }
    });
  }

  template <class T>
  static void normal(Cpu& backend, Random random, std::uint64_t first, Index n, double scale, T* out) {
    backend.parallel(n, n * 16, [&](Index begin, Index end, int) {
      std::array<double, 4> normals{};
      for (Index i = begin; i < end; ++i) {
        const std::uint64_t index = first + static_cast<std::uint64_t>(i);
        if (i == begin || index % 4 == 0) normals = random.normals(index / 4);
        out[i] = static_cast<T>(scale * normals[index % 4]);
      }
    });
  }

  template <class T> static void adamw(Cpu& backend, const AdamWStep& s, Index n, T* weight, const T* gradient, T* m,
                                       T* v, reference::Nullable<T> ema1, reference::Nullable<T> ema2) {
    const auto single = [](double x) { return static_cast<float>(x); };
    const AdamWFactors factors{
        single(s.gradient_scale),  single(s.beta1),          single(1 - s.beta1),
        single(s.beta2),           single(1 - s.beta2),      single(s.learning_rate / s.correction1),
        single(1 / s.correction2), single(s.epsilon),        single(1 - s.learning_rate * s.weight_decay),
        single(s.ema1_decay),      single(1 - s.ema1_decay), single(s.ema2_decay),
        single(1 - s.ema2_decay)};
    backend.parallel(n, n, [&](Index i, Index end, int) {
      T* const first = ema1 != nullptr ? ema1 + i : nullptr;
      T* const second = ema2 != nullptr ? ema2 + i : nullptr;
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().adamw(factors, end - i, weight + i, gradient + i, m + i, v + i, first, second);
      } else {
        Reference plain;
        reference::Pointwise::adamw(plain, s, end - i, weight + i, gradient + i, m + i, v + i, first, second);
      }
    });
  }

  template <class T> static double squared_norm(Cpu& backend, Index n, const T* x) {
    return square_sum<T>(backend, n, x, nullptr);
  }

 private:
  static constexpr Index piece = 16384;  // of the elements of one sum, or of one sample

  /// body(sample, offset, elements) over pieces of each sample, in parallel.
  template <class Body> static void for_pieces(Cpu& backend, Index batch, Index size, const Body& body) {
    const Index pieces = (size + piece - 1) / piece;
    backend.parallel(batch * pieces, batch * size, [&](Index begin, Index end, int) {
      for (Index i = begin; i < end; ++i) {
        const Index start = i % pieces * piece;
        body(i / pieces, i / pieces * size + start, std::min(piece, size - start));
      }
    });
  }

  /// sum (x - y)^2 in double, pieces in order; y may be null.
  template <class T> static double square_sum(Cpu& backend, Index n, const T* x, const T* y) {
    const Index pieces = (n + piece - 1) / piece;
    double* const sums = backend.shared<double>(pieces);
    for_pieces(backend, 1, n, [&](Index, Index at, Index count) {
      double sum = 0;
      if constexpr (std::is_same_v<T, float>) {
        sum = backend.simd().square_sum(count, x + at, y != nullptr ? y + at : nullptr);
      } else {
        for (Index i = at; i < at + count; ++i) {
          const double d = static_cast<double>(x[i]) - (y != nullptr ? static_cast<double>(y[i]) : 0);
          sum += d * d;
        }
      }
      sums[at / piece] = sum;
    });
    double total = 0;
    for (Index i = 0; i < pieces; ++i) total += sums[i];
    return total;
  }
};

}  // namespace backend::cpu
SFUMATO_END
