// Reference: multi-head attention, one query row at a time.
#pragma once

#include <sfumato/backend/reference/memory.hpp>

#include <cmath>
#include <vector>

SFUMATO_BEGIN
namespace backend {

struct Reference;

namespace reference {

struct Attention {
  /// out = softmax(scale q k^T) v; lse = log sum exp of each row of scores.
  template <class T> static void attention(Reference&, const AttentionShape& s, const T* q, const T* k, const T* v,
                                           T* out, Nullable<compute_t<T>> lse) {
    std::vector<double> scores(static_cast<std::size_t>(s.keys));
    for (Index b = 0; b < s.batch; ++b)
      for (Index h = 0; h < s.heads; ++h)
        for (Index i = 0; i < s.queries; ++i) {
          const T* query = q + b * s.q_batch + i * s.q_row + h * s.head_dim;
          for (Index j = 0; j < s.keys; ++j)
            scores[at(j)] = s.scale * dot(query, k + b * s.k_batch + j * s.k_row + h * s.head_dim, s.head_dim);
          const double largest = *std::max_element(scores.begin(), scores.end());
          double sum = 0;
          for (const double score : scores) sum += std::exp(score - largest);
          const double log_sum = largest + std::log(sum);
          for (Index d = 0; d < s.head_dim; ++d) {
            double value = 0;
            for (Index j = 0; j < s.keys; ++j)
              value += std::exp(scores[at(j)] - log_sum) *
                       static_cast<double>(v[b * s.v_batch + j * s.v_row + h * s.head_dim + d]);
            out[b * s.o_batch + i * s.o_row + h * s.head_dim + d] = static_cast<T>(value);
          }
          if (lse != nullptr) lse[(b * s.heads + h) * s.queries + i] = static_cast<compute_t<T>>(log_sum);
        }
  }

  /// With P = exp(scale q k^T - lse): d_v = P^T d_out, d_P = d_out v^T, d_S = scale P (d_P - sum_j P d_P), and
  /// sum_j P d_P = d_out . out; d_q = d_S k, d_k = d_S^T q.
  template <class T> static void attention_backward(Reference&, const AttentionShape& s, const T* d_out, const T* q,
                                                    const T* k, const T* v, const T* out, const compute_t<T>* lse, T* d_q,
                                                    T* d_k, T* d_v, bool accumulate) {
    const Index width = s.head_dim;
    std::vector<double> d_query(at(width)), d_keys(at(s.keys * width)), d_values(at(s.keys * width));  // of one head
    for (Index b = 0; b < s.batch; ++b)
      for (Index h = 0; h < s.heads; ++h) {
        std::fill(d_keys.begin(), d_keys.end(), 0.0);
        std::fill(d_values.begin(), d_values.end(), 0.0);
        for (Index i = 0; i < s.queries; ++i) {
          const Index q_offset = b * s.q_batch + i * s.q_row + h * width,
                      o_offset = b * s.o_batch + i * s.o_row + h * width;
          const double row_dot = dot(d_out + o_offset, out + o_offset, width);
          const auto log_sum = static_cast<double>(lse[(b * s.heads + h) * s.queries + i]);
          std::fill(d_query.begin(), d_query.end(), 0.0);
          for (Index j = 0; j < s.keys; ++j) {
            const T* key = k + b * s.k_batch + j * s.k_row + h * width;
            const T* value = v + b * s.v_batch + j * s.v_row + h * width;
            const double p = std::exp(s.scale * dot(q + q_offset, key, width) - log_sum);
            const double d_score = s.scale * p * (dot(d_out + o_offset, value, width) - row_dot);
            for (Index d = 0; d < width; ++d) {
              d_query[at(d)] += d_score * static_cast<double>(key[d]);
              d_keys[at(j * width + d)] += d_score * static_cast<double>(q[q_offset + d]);
              d_values[at(j * width + d)] += p * static_cast<double>(d_out[o_offset + d]);
            }
          }
          for (Index d = 0; d < width; ++d) store(d_q[q_offset + d], d_query[at(d)], accumulate);
        }
        for (Index j = 0; j < s.keys; ++j)
          for (Index d = 0; d < width; ++d) {
            store(d_k[b * s.k_batch + j * s.k_row + h * width + d], d_keys[at(j * width + d)], accumulate);
            store(d_v[b * s.v_batch + j * s.v_row + h * width + d], d_values[at(j * width + d)], accumulate);
          }
      }
  }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  template <class T> static double dot(const T* x, const T* y, Index n) {
    double sum = 0;
    for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
    return sum;
  }
};

}  // namespace reference
}  // namespace backend
SFUMATO_END
