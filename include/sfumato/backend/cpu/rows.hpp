// Kernels over rows on the CPU. f32 is vectorised; f64 and bf16 run the reference's loops, in parallel where no sum
// crosses rows.
//
// Sums over rows (parameter and modulation gradients) are taken over chunks whose borders follow from the shape alone,
// and the chunks' sums are added in order.
#pragma once

#include <sfumato/backend/cpu/context.hpp>
#include <sfumato/backend/reference/reference.hpp>

SFUMATO_BEGIN
namespace backend::cpu {

/// Rows cut into chunks. Either a sample is one or more chunks, or a chunk is one or more samples.
struct RowChunks {
  Index rows, sample;             // rows in all, rows per sample
  Index pieces = 1, samples = 1;  // chunks per sample, samples per chunk

  /// `shares`: whether rows of a sample share something summed over; otherwise all rows are one sample.
  RowChunks(const RowShape& s, bool shares)
      : rows(s.rows), sample(shares ? std::max<Index>(s.rows_per_sample, 1) : std::max<Index>(s.rows, 1)) {
    const Index size = std::max<Index>(64, rows / 256);
    if (sample >= size)
      pieces = (sample + size - 1) / size;
    else
      samples = size / sample;
  }
  bool splits_samples() const { return pieces > 1; }
  Index count() const {
    const Index in_all = (rows + sample - 1) / sample;
    return splits_samples() ? in_all * pieces : (in_all + samples - 1) / samples;
  }
  Index begin(Index chunk) const {
    if (!splits_samples()) return std::min(rows, chunk * samples * sample);
    return std::min(rows, chunk / pieces * sample + sample * (chunk % pieces) / pieces);
  }
  Index end(Index chunk) const { return begin(chunk + 1); }
};

/// Calls body(first, rows, sample) for the runs of [begin, end) that lie in one sample each.
template <class Body> void by_sample(const RowShape& s, bool shares, Index begin, Index end, const Body& body) {
  const Index sample = shares ? std::max<Index>(s.rows_per_sample, 1) : std::max<Index>(s.rows, 1);
  for (Index r = begin; r < end;) {
    const Index next = std::min(end, (r / sample + 1) * sample);
    body(r, next - r, r / sample);
    r = next;
  }
}

template <class T> T* offset(T* p, Index n) { return p != nullptr ? p + n : nullptr; }

struct Rows {
  template <class X, class T>
  static void norm(Cpu& backend, NormKind kind, const RowShape& s, double epsilon, const X* x,
                   reference::Nullable<const T> weight, reference::Nullable<const T> bias,
                   reference::Nullable<const T> shift, reference::Nullable<const T> scale, T* y,
                   reference::Nullable<compute_t<T>> mean, reference::Nullable<compute_t<T>> rstd) {
    const bool shares = shift != nullptr || scale != nullptr;
    backend.parallel(s.rows, s.rows * s.width, [&](Index begin, Index end, int) {
      by_sample(s, shares, begin, end, [&](Index r, Index rows, Index sample) {
        const Index at = r * s.width, modulation = sample * s.modulation_stride;
        if constexpr (std::is_same_v<T, float>) {
          backend.simd().norm({kind, rows, s.width, static_cast<float>(epsilon), x + at, weight, bias,
                               offset(shift, modulation), offset(scale, modulation), y + at, offset(mean, r),
                               offset(rstd, r)});
        } else {
          Reference plain;
          reference::Rows::norm(plain, kind, RowShape{rows, s.width, rows, 0}, epsilon, x + at, weight, bias,
                                offset(shift, modulation), offset(scale, modulation), y + at, offset(mean, r),
                                offset(rstd, r));
        }
      });
    });
  }

  template <class X, class T>
  static void norm_backward(Cpu& backend, NormKind kind, const RowShape& s, const T* d_y, const X* x,
                            reference::Nullable<const T> weight, reference::Nullable<const T> bias,
                            reference::Nullable<const T> scale, reference::Nullable<const compute_t<T>> mean,
                            const compute_t<T>* rstd, reference::Nullable<X> d_x, bool accumulate,
                            reference::Nullable<T> d_weight, reference::Nullable<T> d_bias,
                            reference::Nullable<T> d_shift, reference::Nullable<T> d_scale) {
    if constexpr (!std::is_same_v<T, float>) {
      Reference plain;
      reference::Rows::norm_backward(plain, kind, s, d_y, x, weight, bias, scale, mean, rstd, d_x, accumulate, d_weight,
                                     d_bias, d_shift, d_scale);
    } else {
      const bool shares = scale != nullptr || d_shift != nullptr || d_scale != nullptr;
      const RowChunks chunks(s, shares);
      // Each chunk's sums: [d_weight | d_bias | d_shift | d_scale], the latter two only where chunks share a sample.
      float* const sums = backend.shared<float>(chunks.count() * 4 * s.width);
      const bool split = chunks.splits_samples();
      backend.parallel(chunks.count(), s.rows * s.width, [&](Index begin, Index end, int) {
        for (Index chunk = begin; chunk < end; ++chunk) {
          float* const own = sums + chunk * 4 * s.width;
          std::fill_n(own, 4 * s.width, 0.0f);
          by_sample(s, shares, chunks.begin(chunk), chunks.end(chunk), [&](Index r, Index rows, Index sample) {
            const Index at = r * s.width, modulation = sample * s.modulation_stride;
            backend.simd().norm_backward(
                {kind, rows, s.width, d_y + at, x + at, weight, bias, offset(scale, modulation),
                 kind == NormKind::layer ? mean + r : nullptr, rstd + r, offset(d_x, at), accumulate,
                 d_weight != nullptr ? own : nullptr, d_bias != nullptr ? own + s.width : nullptr,
                 d_shift != nullptr && split ? own + 2 * s.width : offset(d_shift, modulation),
                 d_scale != nullptr && split ? own + 3 * s.width : offset(d_scale, modulation)});
          });
        }
      });
      const auto column_sum = backend.simd().column_sum;
      if (d_weight != nullptr) column_sum(chunks.count(), s.width, sums, 4 * s.width, d_weight);
      if (d_bias != nullptr) column_sum(chunks.count(), s.width, sums + s.width, 4 * s.width, d_bias);
      for (Index chunk = 0; split && chunk < chunks.count(); chunk += chunks.pieces) {
        const float* const first = sums + chunk * 4 * s.width;
        const Index modulation = chunk / chunks.pieces * s.modulation_stride;
        if (d_shift != nullptr)
          column_sum(chunks.pieces, s.width, first + 2 * s.width, 4 * s.width, d_shift + modulation);
        if (d_scale != nullptr)
          column_sum(chunks.pieces, s.width, first + 3 * s.width, 4 * s.width, d_scale + modulation);
      }
    }
  }

  template <class X, class T>
  static void gated_residual(Cpu& backend, const RowShape& s, const X* x, const T* h, reference::Nullable<const T> gate, X* y) {
    backend.parallel(s.rows, s.rows * s.width, [&](Index begin, Index end, int) {
      by_sample(s, true, begin, end, [&](Index r, Index rows, Index sample) {
        const Index at = r * s.width;
        const T* const own = offset(gate, sample * s.modulation_stride);
        if constexpr (std::is_same_v<T, float>) {
          if (own == nullptr) backend.simd().linear_combination(rows * s.width, 1.0f, x + at, 1.0f, h + at, y + at, false);
          else backend.simd().gated_residual(rows, s.width, x + at, h + at, own, y + at);
        } else {
          Reference plain;
          reference::Rows::gated_residual(plain, RowShape{rows, s.width, rows, 0}, x + at, h + at, own, y + at);
        }
      });
    });
  }

  template <class X, class T>
  static void gated_residual_backward(Cpu& backend, const RowShape& s, const X* d_y, const T* h, const T* gate,
                                      reference::Nullable<T> d_h, bool accumulate, reference::Nullable<T> d_gate) {
    if constexpr (!std::is_same_v<T, float>) {
      Reference plain;
      reference::Rows::gated_residual_backward(plain, s, d_y, h, gate, d_h, accumulate, d_gate);
    } else {
      const RowChunks chunks(s, true);
      const bool split = chunks.splits_samples() && d_gate != nullptr;
      float* const sums = backend.shared<float>(split ? chunks.count() * s.width : 0);
      backend.parallel(chunks.count(), s.rows * s.width, [&](Index begin, Index end, int) {
        for (Index chunk = begin; chunk < end; ++chunk) {
          if (split) std::fill_n(sums + chunk * s.width, s.width, 0.0f);
          by_sample(s, true, chunks.begin(chunk), chunks.end(chunk), [&](Index r, Index rows, Index sample) {
            const Index at = r * s.width, modulation = sample * s.modulation_stride;
            backend.simd().gated_residual_backward(rows, s.width, d_y + at, h + at, gate + modulation, offset(d_h, at),
                                                   accumulate,
                                                   split ? sums + chunk * s.width : offset(d_gate, modulation));
          });
        }
      });
      for (Index chunk = 0; split && chunk < chunks.count(); chunk += chunks.pieces)
        backend.simd().column_sum(chunks.pieces, s.width, sums + chunk * s.width, s.width,
                                  d_gate + chunk / chunks.pieces * s.modulation_stride);
    }
  }

  template <class T>
  static void qk_norm_rotary(Cpu& backend, const QkShape& s, const T* qkv, reference::Nullable<const T> q_weight,
                             reference::Nullable<const T> k_weight, reference::Nullable<const T> table, T* qk,
                             reference::Nullable<compute_t<T>> rstd) {
    if constexpr (!std::is_same_v<T, float>) {
      Reference plain;
      reference::Rows::qk_norm_rotary(plain, s, qkv, q_weight, k_weight, table, qk, rstd);
    } else {
      const QkRows rows{s, qkv, q_weight, k_weight, table, qk, rstd};
      backend.parallel(s.rows, s.rows * s.heads * s.head_dim * 2,
                       [&](Index begin, Index end, int) { backend.simd().qk_norm_rotary(rows, begin, end); });
    }
  }

  template <class T>
  static void qk_norm_rotary_backward(Cpu& backend, const QkShape& s, const T* d_qk, const T* qkv,
                                      reference::Nullable<const T> q_weight, reference::Nullable<const T> k_weight,
                                      reference::Nullable<const T> table, reference::Nullable<const compute_t<T>> rstd,
                                      T* d_qkv, bool accumulate, reference::Nullable<T> d_q_weight,
                                      reference::Nullable<T> d_k_weight) {
    if constexpr (!std::is_same_v<T, float>) {
      Reference plain;
      reference::Rows::qk_norm_rotary_backward(plain, s, d_qk, qkv, q_weight, k_weight, table, rstd, d_qkv, accumulate,
                                               d_q_weight, d_k_weight);
    } else {
      const QkBackwardRows rows{s, d_qk, qkv, q_weight, k_weight, table, rstd, d_qkv, accumulate};
      const RowChunks chunks(RowShape{s.rows, 0, 1, 0}, false);
      float* const sums =
          backend.shared<float>(chunks.count() * 2 * s.head_dim);  // per chunk: [d_q_weight | d_k_weight]
      backend.parallel(chunks.count(), s.rows * s.heads * s.head_dim * 2, [&](Index begin, Index end, int) {
        for (Index chunk = begin; chunk < end; ++chunk) {
          float* const own = sums + chunk * 2 * s.head_dim;
          std::fill_n(own, 2 * s.head_dim, 0.0f);
          backend.simd().qk_norm_rotary_backward(rows, chunks.begin(chunk), chunks.end(chunk), own, own + s.head_dim);
        }
      });
      const auto column_sum = backend.simd().column_sum;
      if (q_weight != nullptr && d_q_weight != nullptr)
        column_sum(chunks.count(), s.head_dim, sums, 2 * s.head_dim, d_q_weight);
      if (k_weight != nullptr && d_k_weight != nullptr)
        column_sum(chunks.count(), s.head_dim, sums + s.head_dim, 2 * s.head_dim, d_k_weight);
    }
  }

  template <class T> static void softmax(Cpu& backend, Index rows, Index width, const T* x, T* y) {
    backend.parallel(rows, rows * width, [&](Index begin, Index end, int) {
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().softmax(end - begin, width, x + begin * width, y + begin * width, nullptr);
      } else {
        Reference plain;
        reference::Rows::softmax(plain, end - begin, width, x + begin * width, y + begin * width);
      }
    });
  }

  template <class T> static void softmax_backward(Cpu& backend, Index rows, Index width, const T* d_y, const T* y,
                                                  T* d_x, bool accumulate) {
    backend.parallel(rows, rows * width, [&](Index begin, Index end, int) {
      const Index at = begin * width;
      if constexpr (std::is_same_v<T, float>) {
        backend.simd().softmax_backward(end - begin, width, d_y + at, y + at, d_x + at, accumulate);
      } else {
        Reference plain;
        reference::Rows::softmax_backward(plain, end - begin, width, d_y + at, y + at, d_x + at, accumulate);
      }
    });
  }

  template <class T> static void cross_entropy(Cpu& backend, Index rows, Index classes, const T* x, const int* labels,
                                               T* probabilities, compute_t<T>* loss) {
    if constexpr (!std::is_same_v<T, float>) {
      Reference plain;
      reference::Rows::cross_entropy(plain, rows, classes, x, labels, probabilities, loss);
    } else {
      float* const lse = backend.shared<float>(rows);
      backend.parallel(rows, rows * classes, [&](Index begin, Index end, int) {
        backend.simd().softmax(end - begin, classes, x + begin * classes, probabilities + begin * classes, lse + begin);
      });
      double total = 0;
      for (Index r = 0; r < rows; ++r)
        total += static_cast<double>(lse[r]) - static_cast<double>(x[r * classes + labels[r]]);
      loss[0] = static_cast<float>(total / static_cast<double>(rows));
    }
  }

  template <class T> static void cross_entropy_backward(Cpu& backend, Index rows, Index classes, const compute_t<T>* d_loss,
                                                        const T* probabilities, const int* labels, T* d_x,
                                                        bool accumulate) {
    using C = compute_t<T>;
    const C factor = static_cast<C>(d_loss[0]) / static_cast<C>(rows);
    backend.parallel(rows, rows * classes, [&](Index begin, Index end, int) {
      for (Index r = begin; r < end; ++r)
        for (Index j = 0; j < classes; ++j) {
          T& out = d_x[r * classes + j];
          const C d =
              factor * (static_cast<C>(probabilities[r * classes + j]) - static_cast<C>(j == labels[r] ? 1 : 0));
          out = static_cast<T>(accumulate ? static_cast<C>(out) + d : d);
        }
    });
  }

  template <class T> static void column_sum(Cpu& backend, Index rows, Index cols, const T* x, T* out) {
    if constexpr (!std::is_same_v<T, float>) {
      Reference plain;
      reference::Matmul::column_sum(plain, rows, cols, x, out);
    } else {
      const RowChunks chunks(RowShape{rows, cols, 1, 0}, false);
      if (chunks.count() <= 1) return backend.simd().column_sum(rows, cols, x, cols, out);
      float* const sums = backend.shared<float>(chunks.count() * cols);
      backend.parallel(chunks.count(), rows * cols, [&](Index begin, Index end, int) {
        for (Index chunk = begin; chunk < end; ++chunk) {
          std::fill_n(sums + chunk * cols, cols, 0.0f);
          backend.simd().column_sum(chunks.end(chunk) - chunks.begin(chunk), cols, x + chunks.begin(chunk) * cols, cols,
                                    sums + chunk * cols);
        }
      });
      backend.simd().column_sum(chunks.count(), cols, sums, cols, out);
    }
  }

  template <class T>
  static void embedding(Cpu& backend, Index n, Index width, const T* table, const int* labels, T* y) {
    backend.parallel(n, n * width, [&](Index begin, Index end, int) {
      for (Index i = begin; i < end; ++i) std::copy_n(table + labels[i] * width, width, y + i * width);
    });
  }

  /// In order, because labels repeat.
  template <class T>
  static void embedding_backward(Cpu& backend, Index n, Index width, const T* d_y, const int* labels, T* d_table) {
    if constexpr (std::is_same_v<T, float>) {
      for (Index i = 0; i < n; ++i)
        backend.simd().linear_combination(width, 1.0f, d_y + i * width, 0.0f, nullptr, d_table + labels[i] * width,
                                          true);
    } else {
      Reference plain;
      reference::Rows::embedding_backward(plain, n, width, d_y, labels, d_table);
    }
  }
};

}  // namespace backend::cpu
SFUMATO_END
