// What a backend must provide: the contract of `Kernels<B>`.
//
// Kernels are the untyped muscle under the typed skin: plain pointers and run-time sizes, one instantiation per element
// type, never one per shape. All arrays are row-major and dense unless strides are given. The ops' front doors have
// checked every shape before a kernel is called.
//
// Gradient convention: an output named d_<input> is overwritten, or added to where `accumulate` is true; parameter
// gradients (d_weight, d_bias, d_table) and modulation gradients (d_shift, d_scale, d_gate) are always added to.
#pragma once

#include <sfumato/base/element.hpp>
#include <sfumato/base/random.hpp>
#include <sfumato/base/rule.hpp>

#include <concepts>
#include <cstddef>

SFUMATO_BEGIN

/// Elementwise non-linearities. GELU comes in its exact (erf) and its tanh form.
enum class Activation { none, relu, silu, gelu_erf, gelu_tanh };

/// What a normalisation subtracts and divides by: LayerNorm uses mean and standard deviation, RMSNorm the root mean square.
enum class NormKind { layer, rms };

/// c[i, j] (+)= activation(sum_k a[i, k] b[k, j] + bias[j]) for each of `batch` matrices; strides count elements.
/// With activation or bias, `accumulate` is false. `batch` strides may be 0 (a shared operand).
struct MatmulShape {
  Index m, n, k;
  Index a_row, a_col;
  Index b_row, b_col;
  Index c_row;
  Index batch = 1;
  Index a_batch = 0, b_batch = 0, c_batch = 0;
};

/// Rows of `width` elements; row r belongs to sample r / rows_per_sample, whose modulation starts at
/// shift/scale/gate + sample * modulation_stride.
struct RowShape {
  Index rows, width;
  Index rows_per_sample = 1;
  Index modulation_stride = 0;
};

/// Multi-head attention. Element (sample, token, head, i) of q stands at
/// sample * q_batch + token * q_row + head * head_dim + i; likewise k, v and out (alias o).
struct AttentionShape {
  Index batch, heads, queries, keys, head_dim;
  Index q_batch, q_row, k_batch, k_row, v_batch, v_row, o_batch, o_row;
  double scale;  ///< multiplies q k^T; 1/sqrt(head_dim) as a rule
};

/// QK-norm and rotary embedding on a packed projection qkv: rows of 3 * heads * head_dim, [q | k | v], head-major.
/// Row r is token r % tokens. `table` holds (tokens, head_dim), which is even then: cos at even, sin at odd positions of each pair.
struct QkShape {
  Index rows, tokens, heads, head_dim;
  double epsilon;
};

/// At most `max_rank` nested loops copying src[offset] to dst[offset]; a stride of 0 in src broadcasts, in dst (with accumulate) reduces.
struct CopyShape {
  static constexpr int max_rank = 8;
  int rank = 0;
  Index extent[max_rank] = {};
  Index src_stride[max_rank] = {};
  Index dst_stride[max_rank] = {};
};

/// One AdamW step (Loshchilov and Hutter 2019), decoupled weight decay; corrections are 1 - beta^step.
struct AdamWStep {
  double learning_rate, beta1, beta2, epsilon, weight_decay;
  double correction1, correction2;
  double gradient_scale = 1;                  ///< multiplies the gradient first: clipping, accumulation
  double ema1_decay = 1, ema2_decay = 1;      ///< ema = decay * ema + (1 - decay) * weight, after the step
};

/// Specialised by each backend in its own header.
///
/// Static members, for T in {float, double, bf16}; every one takes the backend object first. What a row keeps for its
/// backward pass (mean, rstd, lse), and losses, are S = compute_t<T>: rounded to bf16, exp(score - lse) would be off by percents.
/// X is T or S, for residual streams that are not rounded at each block.
/// ```
/// T*   allocate<T>(b, n)                 // aligned to 64 bytes, uninitialised; throws Error("out-of-memory")
/// void deallocate(b, void*)
/// void upload(b, T* dst, const T* host, n)          void download(b, T* host, const T* src, n)
/// void fill(b, n, value, T* x)
/// void matmul(b, MatmulShape, const T* a, const T* b, T* c, bool accumulate, const T* bias, Activation)
/// void column_sum(b, rows, cols, const T* x, T* out)                              // out[j] += sum_r x[r, j]
/// void norm(b, NormKind, RowShape, epsilon, const X* x, weight|0, bias|0, shift|0, scale|0, T* y, S* mean|0, S* rstd|0)
///        // y = (x_hat * weight + bias) * (1 + scale) + shift; mean and rstd (rows) are kept for backward where non-null
/// void norm_backward(b, NormKind, RowShape, d_y, const X* x, weight|0, bias|0, scale|0, mean|0, rstd,
///                    X* d_x|0, bool accumulate, T* d_weight|0, T* d_bias|0, T* d_shift|0, T* d_scale|0)
/// void gated_residual(b, RowShape, const X* x, h, gate|0, X* y)                   // y = x + gate * h, or x + h
/// void gated_residual_backward(b, RowShape, const X* d_y, h, gate, T* d_h|0, bool accumulate, T* d_gate|0)
/// void qk_norm_rotary(b, QkShape, qkv, q_weight|0, k_weight|0, table|0, T* qk, S* rstd|0)
///        // qk: rows of 2 * heads * head_dim; rstd: (rows, 2, heads); weights null: no norm; table null: no rotation
/// void qk_norm_rotary_backward(b, QkShape, d_qk, qkv, q_weight|0, k_weight|0, table|0, rstd, T* d_qkv, bool accumulate,
///                    T* d_q_weight|0, T* d_k_weight|0)                            // writes the q and k thirds only
/// void attention(b, AttentionShape, q, k, v, T* out, S* lse|0)                    // lse: (batch, heads, queries)
/// void attention_backward(b, AttentionShape, d_out, q, k, v, out, lse, T* d_q, T* d_k, T* d_v, bool accumulate)
///        // d_q, d_k, d_v have the strides of q, k, v; d_out those of out; the score matrix is never stored whole
/// void swiglu(b, rows, hidden, const T* x, T* y)         // x: (rows, 2 hidden) = [gate | value]; y = silu(gate) * value
/// void swiglu_backward(b, rows, hidden, d_y, x, T* d_x, bool accumulate)
/// void activation(b, Activation, n, x, T* y)             void activation_backward(b, Activation, n, d_y, x, T* d_x, bool accumulate)
/// void softmax(b, rows, width, x, T* y)                  void softmax_backward(b, rows, width, d_y, y, T* d_x, bool accumulate)
/// void cross_entropy(b, rows, classes, x, const int* labels, T* probabilities, S* loss)      // loss[0] = mean over rows
/// void cross_entropy_backward(b, rows, classes, const S* d_loss, probabilities, labels, T* d_x, bool accumulate)
/// void embedding(b, n, width, table, const int* labels, T* y)    void embedding_backward(b, n, width, d_y, labels, T* d_table)
/// void dropout(b, Random, first, n, rate, x, T* y, bool accumulate)  // keeps element i where uniform(first + i) >= rate; scales by 1/(1-rate)
/// void weighted_mse(b, batch, size, x, target, const double* weight, S* loss)  // loss[0] = mean_b weight[b] mean_j (x - target)^2
/// void weighted_mse_backward(b, batch, size, const S* d_loss, x, target, weight, T* d_x, T* d_target|0, bool accumulate)
/// void linear_combination(b, batch, size, const double* alpha, x, const double* beta|0, y|0, T* out, bool accumulate)
///        // out[b, j] (+)= alpha[b] x[b, j] + beta[b] y[b, j]
/// void multiply(b, n, x, y, T* out, bool accumulate)     // out (+)= x * y, elementwise
/// void strided_copy(b, CopyShape, const T* src, T* dst, bool accumulate)
/// void convert(b, n, const From* x, To* y, bool accumulate)   // y (+)= x, between any two types of element
/// void normal(b, Random, first, n, scale, T* out)        // out[i] = scale * normal number (first + i) of the stream
/// void adamw(b, AdamWStep, n, T* weight, const T* gradient, T* m, T* v, T* ema1|0, T* ema2|0)
/// double squared_norm(b, n, const T* x)                  // fixed chunks in index order: the same bits for any thread count
/// void for_each(b, n, work, f)                           // f(i) for 0 <= i < n, in any order, in parallel; about `work` elements in all
/// ```
/// A backend whose memory is not the host's may also have
///   void upload_ahead(b, T* dst, const T* host, n)   // beside the kernels that are running, none of which may use `dst`; later ones wait for it
///   void submit(b, bool whole)                       // starts what was called so far; throws what cannot be started; `whole`: all or nothing
///
/// `for_each` is the kernel that new ops bring along: `f` is a copyable function object on pointers into the backend's
/// memory, with `SFUMATO_HD void operator()(Index i) const`, which does not throw and writes no element of another i.
/// alpha, beta, weight and labels are host arrays. Results do not depend on the number of threads.
template <class B> struct Kernels {
  static_assert(dependent_false<B>, "[backend-header] include this backend's header, e.g. <sfumato/backend/cpu/cpu.hpp>");
};

namespace detail {
struct DoNothing {  // nvcc takes no lambda in a concept
  SFUMATO_HD void operator()(Index) const {}
};
}  // namespace detail

/// A backend: a type that carries its resources and has `Kernels`.
template <class B>
concept Backend = requires(B& b, float* x, Index n) {
  { B::name } -> std::convertible_to<const char*>;
  { Kernels<B>::template allocate<float>(b, n) } -> std::same_as<float*>;
  Kernels<B>::deallocate(b, x);
  Kernels<B>::fill(b, n, 0.0, x);
  Kernels<B>::matmul(b, MatmulShape{}, x, x, x, false, x, Activation::none);
  { Kernels<B>::squared_norm(b, n, x) } -> std::same_as<double>;
  Kernels<B>::for_each(b, n, n, detail::DoNothing{});
};

/// Whether a backend says, by `static constexpr bool host_memory = true`, that its memory is the host's.
template <class B> inline constexpr bool host_memory = requires { requires B::host_memory; };
/// Whether a backend says, by `static constexpr bool multiplies_dearly = true`, that products cost it more than passes over memory: its
/// convolutions may then be Winograd's.
template <class B> inline constexpr bool multiplies_dearly = requires { requires B::multiplies_dearly; };

SFUMATO_END
