// Reference: kernels over rows: normalisation with modulation, gated residuals, QK-norm with rotary embedding,
// softmax, cross entropy and embedding.
#pragma once

#include <sfumato/backend/reference/memory.hpp>

#include <cmath>
#include <vector>

SFUMATO_BEGIN
namespace backend {

struct Reference;

namespace reference {

struct Rows {
  /// y = (x_hat * weight + bias) * (1 + scale) + shift, x_hat = (x - mean) * rstd; RMSNorm has mean 0.
  template <class X, class T> static void norm(Reference&, NormKind kind, const RowShape& s, double epsilon, const X* x,
                                               Nullable<const T> weight, Nullable<const T> bias,
                                               Nullable<const T> shift, Nullable<const T> scale, T* y,
                                               Nullable<compute_t<T>> mean_out, Nullable<compute_t<T>> rstd_out) {
    const auto width = static_cast<double>(s.width);
    for (Index r = 0; r < s.rows; ++r) {
      const X* row = x + r * s.width;
      double mean = 0, square = 0;
      if (kind == NormKind::layer) {
        for (Index j = 0; j < s.width; ++j) mean += static_cast<double>(row[j]);
        mean /= width;
      }
      for (Index j = 0; j < s.width; ++j)
        square += (static_cast<double>(row[j]) - mean) * (static_cast<double>(row[j]) - mean);
      const double rstd = 1 / std::sqrt(square / width + epsilon);
      const Index modulation = r / s.rows_per_sample * s.modulation_stride;
      for (Index j = 0; j < s.width; ++j) {
        const double x_hat = (static_cast<double>(row[j]) - mean) * rstd;
        const double affine = x_hat * value_or(weight, j, 1) + value_or(bias, j, 0);
        y[r * s.width + j] =
            static_cast<T>(affine * (1 + value_or(scale, modulation + j, 0)) + value_or(shift, modulation + j, 0));
      }
      if (mean_out != nullptr) mean_out[r] = static_cast<compute_t<T>>(mean);
      if (rstd_out != nullptr) rstd_out[r] = static_cast<compute_t<T>>(rstd);
    }
  }

  /// `mean` may be null for RMSNorm only.
  template <class X, class T>
  static void norm_backward(Reference&, NormKind kind, const RowShape& s, const T* d_y, const X* x,
                            Nullable<const T> weight, Nullable<const T> bias, Nullable<const T> scale,
                            Nullable<const compute_t<T>> mean, const compute_t<T>* rstd, Nullable<X> d_x,
                            bool accumulate, Nullable<T> d_weight, Nullable<T> d_bias, Nullable<T> d_shift,
                            Nullable<T> d_scale) {
    ColumnSums weight_sum(s.width), bias_sum(s.width), shift_sum(s.width), scale_sum(s.width);
    std::vector<double> x_hat(static_cast<std::size_t>(s.width)), d_x_hat(x_hat);  // one row
    for (Index r = 0; r < s.rows; ++r) {
      const Index modulation = r / s.rows_per_sample * s.modulation_stride;
      const double row_mean = kind == NormKind::layer ? static_cast<double>(mean[r]) : 0,
                   row_rstd = static_cast<double>(rstd[r]);
      double sum = 0, projection = 0;  // of d_x_hat, and of d_x_hat * x_hat
      for (Index j = 0; j < s.width; ++j) {
        const auto i = static_cast<std::size_t>(j);
        const double d = static_cast<double>(d_y[r * s.width + j]), w = value_or(weight, j, 1);
        x_hat[i] = (static_cast<double>(x[r * s.width + j]) - row_mean) * row_rstd;
        const double d_affine = d * (1 + value_or(scale, modulation + j, 0));
        shift_sum[j] += d;
        scale_sum[j] += d * (x_hat[i] * w + value_or(bias, j, 0));
        bias_sum[j] += d_affine;
        weight_sum[j] += d_affine * x_hat[i];
        d_x_hat[i] = d_affine * w;
        sum += d_x_hat[i];
        projection += d_x_hat[i] * x_hat[i];
      }
      if (kind == NormKind::rms) sum = 0;  // nothing was subtracted
      for (Index j = 0; d_x != nullptr && j < s.width; ++j) {
        const auto i = static_cast<std::size_t>(j);
        store(d_x[r * s.width + j],
              row_rstd * (d_x_hat[i] - (sum + x_hat[i] * projection) / static_cast<double>(s.width)), accumulate);
      }
      if ((r + 1) % s.rows_per_sample == 0 || r + 1 == s.rows) {
        shift_sum.flush(d_shift, modulation);
        scale_sum.flush(d_scale, modulation);
      }
    }
    weight_sum.flush(d_weight, 0);
    bias_sum.flush(d_bias, 0);
  }

  template <class X, class T>
  static void gated_residual(Reference&, const RowShape& s, const X* x, const T* h, Nullable<const T> gate, X* y) {
    for (Index r = 0; r < s.rows; ++r)
      for (Index j = 0; j < s.width; ++j) {
        const Index i = r * s.width + j;
        const double g = value_or(gate, r / s.rows_per_sample * s.modulation_stride + j, 1);
        y[i] = static_cast<X>(static_cast<double>(x[i]) + g * static_cast<double>(h[i]));
      }
  }

  template <class X, class T> static void gated_residual_backward(Reference&, const RowShape& s, const X* d_y,
                                                                  const T* h, const T* gate, Nullable<T> d_h,
                                                                  bool accumulate, Nullable<T> d_gate) {
    ColumnSums gate_sum(s.width);
    for (Index r = 0; r < s.rows; ++r) {
      const Index modulation = r / s.rows_per_sample * s.modulation_stride;
      for (Index j = 0; j < s.width; ++j) {
        const Index i = r * s.width + j;
        if (d_h != nullptr)
          store(d_h[i], static_cast<double>(d_y[i]) * static_cast<double>(gate[modulation + j]), accumulate);
        gate_sum[j] += static_cast<double>(d_y[i]) * static_cast<double>(h[i]);
      }
      if ((r + 1) % s.rows_per_sample == 0 || r + 1 == s.rows) gate_sum.flush(d_gate, modulation);
    }
  }

  /// RMSNorm of each head of q and k (no norm, and rstd 1, without a weight), then rotation of each interleaved pair.
  template <class T> static void qk_norm_rotary(Reference&, const QkShape& s, const T* qkv, Nullable<const T> q_weight,
                                                Nullable<const T> k_weight, Nullable<const T> table, T* qk,
                                                Nullable<compute_t<T>> rstd_out) {
    const Index width = s.head_dim;
    std::vector<double> head(static_cast<std::size_t>(width));
    for (Index r = 0; r < s.rows; ++r)
      for (Index part = 0; part < 2 * s.heads; ++part) {  // the heads of q, then those of k
        const T* weight = part < s.heads ? q_weight : k_weight;
        const T* x = qkv + (r * 3 * s.heads + part) * width;
        T* y = qk + (r * 2 * s.heads + part) * width;
        const double rstd = weight != nullptr ? head_rstd(s, x) : 1;
        for (Index j = 0; j < width; ++j)
          head[static_cast<std::size_t>(j)] = static_cast<double>(x[j]) * rstd * value_or(weight, j, 1);
        rotate(table != nullptr ? table + r % s.tokens * width : nullptr, 1, head);
        for (Index j = 0; j < width; ++j) y[j] = static_cast<T>(head[static_cast<std::size_t>(j)]);
        if (rstd_out != nullptr) rstd_out[r * 2 * s.heads + part] = static_cast<compute_t<T>>(rstd);
      }
  }

  template <class T> static void qk_norm_rotary_backward(Reference&, const QkShape& s, const T* d_qk, const T* qkv,
                                                         Nullable<const T> q_weight, Nullable<const T> k_weight,
                                                         Nullable<const T> table, Nullable<const compute_t<T>> rstd,
                                                         T* d_qkv, bool accumulate, Nullable<T> d_q_weight,
                                                         Nullable<T> d_k_weight) {
    const Index width = s.head_dim;
    ColumnSums q_sum(width), k_sum(width);
    std::vector<double> d(static_cast<std::size_t>(width));
    for (Index r = 0; r < s.rows; ++r)
      for (Index part = 0; part < 2 * s.heads; ++part) {
        const T* weight = part < s.heads ? q_weight : k_weight;
        ColumnSums& weight_sum = part < s.heads ? q_sum : k_sum;
        const T* x = qkv + (r * 3 * s.heads + part) * width;
        T* d_x = d_qkv + (r * 3 * s.heads + part) * width;
        for (Index j = 0; j < width; ++j)
          d[static_cast<std::size_t>(j)] = static_cast<double>(d_qk[(r * 2 * s.heads + part) * width + j]);
        rotate(table != nullptr ? table + r % s.tokens * width : nullptr, -1, d);
        const double scale = weight != nullptr ? static_cast<double>(rstd[r * 2 * s.heads + part]) : 1;
        double projection = 0;
        for (Index j = 0; weight != nullptr && j < width; ++j) {
          const auto i = static_cast<std::size_t>(j);
          const double x_hat = static_cast<double>(x[j]) * scale;
          weight_sum[j] += d[i] * x_hat;
          d[i] *= static_cast<double>(weight[j]);
          projection += d[i] * x_hat / static_cast<double>(width);
        }
        for (Index j = 0; j < width; ++j)
          store(d_x[j], scale * (d[static_cast<std::size_t>(j)] - static_cast<double>(x[j]) * scale * projection),
                accumulate);
      }
    if (q_weight != nullptr) q_sum.flush(d_q_weight, 0);
    if (k_weight != nullptr) k_sum.flush(d_k_weight, 0);
  }

  template <class T> static void softmax(Reference&, Index rows, Index width, const T* x, T* y) {
    for (Index r = 0; r < rows; ++r) {
      const double log_sum = log_sum_exp(x + r * width, width);
      for (Index j = r * width; j < (r + 1) * width; ++j)
        y[j] = static_cast<T>(std::exp(static_cast<double>(x[j]) - log_sum));
    }
  }

  template <class T>
  static void softmax_backward(Reference&, Index rows, Index width, const T* d_y, const T* y, T* d_x, bool accumulate) {
    for (Index r = 0; r < rows; ++r) {
      double dot = 0;
      for (Index j = r * width; j < (r + 1) * width; ++j)
        dot += static_cast<double>(d_y[j]) * static_cast<double>(y[j]);
      for (Index j = r * width; j < (r + 1) * width; ++j)
        store(d_x[j], static_cast<double>(y[j]) * (static_cast<double>(d_y[j]) - dot), accumulate);
    }
  }

  /// loss[0] = mean over rows of -log softmax(x)[label].
  template <class T> static void cross_entropy(Reference&, Index rows, Index classes, const T* x, const int* labels,
                                               T* probabilities, compute_t<T>* loss) {
    double total = 0;
    for (Index r = 0; r < rows; ++r) {
      const T* row = x + r * classes;
      const double log_sum = log_sum_exp(row, classes);
      for (Index j = 0; j < classes; ++j)
        probabilities[r * classes + j] = static_cast<T>(std::exp(static_cast<double>(row[j]) - log_sum));
      total += log_sum - static_cast<double>(row[labels[r]]);
    }
    loss[0] = static_cast<compute_t<T>>(total / static_cast<double>(rows));
  }

  template <class T> static void cross_entropy_backward(Reference&, Index rows, Index classes, const compute_t<T>* d_loss,
                                                        const T* probabilities, const int* labels, T* d_x,
                                                        bool accumulate) {
    const double factor = static_cast<double>(d_loss[0]) / static_cast<double>(rows);
    for (Index r = 0; r < rows; ++r)
      for (Index j = 0; j < classes; ++j)
        store(d_x[r * classes + j],
              factor * (static_cast<double>(probabilities[r * classes + j]) - (j == labels[r] ? 1 : 0)), accumulate);
  }

  template <class T> static void embedding(Reference&, Index n, Index width, const T* table, const int* labels, T* y) {
    for (Index i = 0; i < n; ++i) std::copy_n(table + labels[i] * width, width, y + i * width);
  }

  template <class T>
  static void embedding_backward(Reference&, Index n, Index width, const T* d_y, const int* labels, T* d_table) {
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < width; ++j) add(d_table, labels[i] * width + j, static_cast<double>(d_y[i * width + j]));
  }

 private:
  /// Sums over rows, kept in double until they are added to a gradient.
  class ColumnSums {
   public:
    explicit ColumnSums(Index width) : sums_(static_cast<std::size_t>(width)) {}
    double& operator[](Index j) { return sums_[static_cast<std::size_t>(j)]; }
    template <class T> void flush(T* out, Index offset) {
      for (std::size_t j = 0; j < sums_.size(); ++j) add(out, offset + static_cast<Index>(j), sums_[j]);
      std::fill(sums_.begin(), sums_.end(), 0.0);
    }

   private:
    std::vector<double> sums_;
  };

  template <class T> static double head_rstd(const QkShape& s, const T* x) {
    double square = 0;
    for (Index j = 0; j < s.head_dim; ++j) square += static_cast<double>(x[j]) * static_cast<double>(x[j]);
    return 1 / std::sqrt(square / static_cast<double>(s.head_dim) + s.epsilon);
  }

  /// Rotates pair (2i, 2i + 1) by the angle whose (cos, sin) the table holds, or by its negative (direction -1).
  template <class T> static void rotate(const T* table, double direction, std::vector<double>& head) {
    for (std::size_t i = 0; table != nullptr && i + 1 < head.size(); i += 2) {
      const double cosine = static_cast<double>(table[i]), sine = direction * static_cast<double>(table[i + 1]);
      const double x = head[i], y = head[i + 1];
      head[i] = x * cosine - y * sine;
      head[i + 1] = y * cosine + x * sine;
    }
  }

  template <class T> static double log_sum_exp(const T* x, Index n) {
    const auto largest = static_cast<double>(*std::max_element(x, x + n));
    double sum = 0;
    for (Index j = 0; j < n; ++j) sum += std::exp(static_cast<double>(x[j]) - largest);
    return largest + std::log(sum);
  }
};

}  // namespace reference
}  // namespace backend
SFUMATO_END
