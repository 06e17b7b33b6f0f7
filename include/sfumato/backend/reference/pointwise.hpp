// Reference: elementwise kernels, losses, random numbers and the optimiser.
#pragma once

#include <sfumato/backend/activations.hpp>
#include <sfumato/backend/reference/memory.hpp>

#include <cmath>

SFUMATO_BEGIN
namespace backend {

struct Reference;

namespace reference {

struct Pointwise {
  template <class T> static void activation(Reference&, Activation kind, Index n, const T* x, T* y) {
    for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(activate(kind, static_cast<double>(x[i])));
  }

  template <class T> static void activation_backward(Reference&, Activation kind, Index n, const T* d_y, const T* x,
                                                     T* d_x, bool accumulate) {
    for (Index i = 0; i < n; ++i)
      store(d_x[i], static_cast<double>(d_y[i]) * activate_derivative(kind, static_cast<double>(x[i])), accumulate);
  }

  /// x: (rows, 2 hidden) = [gate | value]; y: (rows, hidden).
  template <class T> static void swiglu(Reference&, Index rows, Index hidden, const T* x, T* y) {
    for (Index r = 0; r < rows; ++r)
      for (Index j = 0; j < hidden; ++j) {
        const auto gate = static_cast<double>(x[r * 2 * hidden + j]);
        const auto value = static_cast<double>(x[r * 2 * hidden + hidden + j]);
        y[r * hidden + j] = static_cast<T>(silu(gate) * value);
      }
  }

  template <class T>
  static void swiglu_backward(Reference&, Index rows, Index hidden, const T* d_y, const T* x, T* d_x, bool accumulate) {
    for (Index r = 0; r < rows; ++r)
      for (Index j = 0; j < hidden; ++j) {
        const Index at_gate = r * 2 * hidden + j, at_value = at_gate + hidden;
        const auto gate = static_cast<double>(x[at_gate]), value = static_cast<double>(x[at_value]);
        const auto d = static_cast<double>(d_y[r * hidden + j]);
        store(d_x[at_gate], d * value * silu_derivative(gate), accumulate);
        store(d_x[at_value], d * silu(gate), accumulate);
      }
  }

  /// loss[0] = mean over samples of weight[b] * mean_j (x[b, j] - target[b, j])^2.
  template <class T> static void weighted_mse(Reference&, Index batch, Index size, const T* x, const T* target,
                                              const double* weight, compute_t<T>* loss) {
    double total = 0;
    for (Index b = 0; b < batch; ++b) {
      double sum = 0;
      for (Index j = b * size; j < (b + 1) * size; ++j) {
        const double difference = static_cast<double>(x[j]) - static_cast<double>(target[j]);
        sum += difference * difference;
      }
      total += weight[b] * sum / static_cast<double>(size);
    }
    loss[0] = static_cast<compute_t<T>>(total / static_cast<double>(batch));
  }

  template <class T> static void weighted_mse_backward(Reference&, Index batch, Index size, const compute_t<T>* d_loss, const T* x,
                                                       const T* target, const double* weight, T* d_x,
                                                       Nullable<T> d_target, bool accumulate) {
    for (Index b = 0; b < batch; ++b) {
      const double factor = 2 * static_cast<double>(d_loss[0]) * weight[b] / static_cast<double>(batch * size);
      for (Index j = b * size; j < (b + 1) * size; ++j) {
        const double d = factor * (static_cast<double>(x[j]) - static_cast<double>(target[j]));
        store(d_x[j], d, accumulate);
        if (d_target != nullptr) store(d_target[j], -d, accumulate);
      }
    }
  }

  /// out[b, j] (+)= alpha[b] x[b, j] + beta[b] y[b, j].
  template <class T> static void linear_combination(Reference&, Index batch, Index size, const double* alpha,
                                                    const T* x, const double* beta, Nullable<const T> y, T* out,
                                                    bool accumulate) {
    for (Index b = 0; b < batch; ++b)
      for (Index j = b * size; j < (b + 1) * size; ++j)
        store(out[j], alpha[b] * static_cast<double>(x[j]) + (y != nullptr ? beta[b] * static_cast<double>(y[j]) : 0),
              accumulate);
  }

  template <class T> static void multiply(Reference&, Index n, const T* x, const T* y, T* out, bool accumulate) {
    for (Index i = 0; i < n; ++i) store(out[i], static_cast<double>(x[i]) * static_cast<double>(y[i]), accumulate);
  }

  template <class T> static void dropout(Reference&, Random random, std::uint64_t first, Index n, double rate,
                                         const T* x, T* y, bool accumulate) {
    for (Index i = 0; i < n; ++i) {
      const bool keep = random.uniform(first + static_cast<std::uint64_t>(i)) >= rate;
      store(y[i], keep ? static_cast<double>(x[i]) / (1 - rate) : 0, accumulate);
    }
  }

  template <class T> static void normal(Reference&, Random random, std::uint64_t first, Index n, double scale, T* out) {
    for (Index i = 0; i < n; ++i) out[i] = static_cast<T>(scale * random.normal(first + static_cast<std::uint64_t>(i)));
  }

  template <class T> static void adamw(Reference&, const AdamWStep& s, Index n, T* weight, const T* gradient, T* m,
                                       T* v, Nullable<T> ema1, Nullable<T> ema2) {
    for (Index i = 0; i < n; ++i) {
      const double g = s.gradient_scale * static_cast<double>(gradient[i]);
      const double m_new = s.beta1 * static_cast<double>(m[i]) + (1 - s.beta1) * g;
      const double v_new = s.beta2 * static_cast<double>(v[i]) + (1 - s.beta2) * g * g;
      double w = static_cast<double>(weight[i]) * (1 - s.learning_rate * s.weight_decay);
      w -= s.learning_rate * (m_new / s.correction1) / (std::sqrt(v_new / s.correction2) + s.epsilon);
      m[i] = static_cast<T>(m_new);
      v[i] = static_cast<T>(v_new);
      weight[i] = static_cast<T>(w);
      if (ema1 != nullptr)
        ema1[i] = static_cast<T>(s.ema1_decay * static_cast<double>(ema1[i]) + (1 - s.ema1_decay) * w);
      if (ema2 != nullptr)
        ema2[i] = static_cast<T>(s.ema2_decay * static_cast<double>(ema2[i]) + (1 - s.ema2_decay) * w);
    }
  }

  template <class T> static double squared_norm(Reference&, Index n, const T* x) {
    double sum = 0;
    for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return sum;
  }
};

}  // namespace reference
}  // namespace backend
SFUMATO_END
