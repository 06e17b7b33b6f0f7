// The f32 (and f64 product) kernels every vector width provides, as a table of function pointers.
#pragma once

#include <sfumato/backend/kernels.hpp>

SFUMATO_BEGIN
namespace backend::cpu {

/// Rows that share their modulation; pointers that may be null are marked |0.
struct NormRows {
  NormKind kind;
  Index rows, width;
  float epsilon;
  const float *x, *weight, *bias, *shift, *scale;  // weight, bias, shift, scale: |0
  float *y, *mean, *rstd;                          // mean, rstd: |0
};

/// Parameter and modulation gradients are the caller's sums over the rows of this call, added to.
struct NormBackwardRows {
  NormKind kind;
  Index rows, width;
  const float *d_y, *x, *weight, *bias, *scale, *mean, *rstd;  // weight, bias, scale, mean: |0
  float* d_x;                                                  // |0
  bool accumulate;
  float *d_weight, *d_bias, *d_shift, *d_scale;  // |0
};

struct QkRows {
  QkShape shape;
  const float *qkv, *q_weight, *k_weight, *table;  // weights, table: |0
  float *qk, *rstd;                                // rstd: |0
};

struct QkBackwardRows {
  QkShape shape;
  const float *d_qk, *qkv, *q_weight, *k_weight, *table, *rstd;  // weights, table: |0
  float* d_qkv;
  bool accumulate;
};

/// AdamWStep in the form its kernel uses.
struct AdamWFactors {
  float gradient_scale, beta1, one_minus_beta1, beta2, one_minus_beta2;
  float step;  // learning_rate / correction1
  float inverse_correction2, epsilon;
  float keep;  // 1 - learning_rate * weight_decay
  float ema1_decay, ema1_rest, ema2_decay, ema2_rest;
};

/// What the kernels do is written where they are defined: simd_gemm.inc, simd_attention.inc, simd_rows.inc,
/// simd_elementwise.inc.
struct SimdTable {
  Index lanes, tile_rows, tile_cols, tile_cols_f64;

  void (*pack_a)(Index rows, Index depth, const float* a, Index row, Index col, float* out);
  void (*pack_b)(Index depth, Index cols, const float* b, Index row, Index col, float* out);
  void (*multiply_panels)(Index rows, Index cols, Index depth, const float* a, const float* b, float* c, Index c_row,
                          bool add);
  void (*multiply_rows)(Index rows, Index cols, Index depth, const float* a, Index a_row, const float* b, float* c,
                        Index c_row, bool add);
  void (*multiply_panels_f64)(Index rows, Index cols, Index depth, const double* a, const double* b, double* c,
                              Index c_row, bool add);
  void (*finish_tile)(Index rows, Index cols, float* c, Index c_row, const float* bias, Activation);

  void (*softmax_tile)(Index rows, Index keys, float* s, Index s_row, float scale, bool first, float* maximum,
                       float* sum, float* rescale);
  void (*softmax_tile_backward)(Index rows, Index keys, float* s, float* d_p, Index s_row, float scale,
                                const float* lse, const float* dot);
  void (*scale_rows)(Index rows, Index width, const float* factor, float* x, Index x_row);
  void (*row_dots)(Index rows, Index width, const float* x, Index x_row, const float* y, Index y_row, float* out);

  void (*norm)(const NormRows&);
  void (*norm_backward)(const NormBackwardRows&);
  void (*gated_residual)(Index rows, Index width, const float* x, const float* h, const float* gate, float* y);
  void (*gated_residual_backward)(Index rows, Index width, const float* d_y, const float* h, const float* gate,
                                  float* d_h, bool accumulate, float* d_gate);
  void (*qk_norm_rotary)(const QkRows&, Index begin, Index end);
  void (*qk_norm_rotary_backward)(const QkBackwardRows&, Index begin, Index end, float* d_q_weight, float* d_k_weight);
  void (*softmax)(Index rows, Index width, const float* x, float* y, float* lse);
  void (*softmax_backward)(Index rows, Index width, const float* d_y, const float* y, float* d_x, bool accumulate);
  void (*column_sum)(Index rows, Index cols, const float* x, Index x_row, float* out);

  void (*activation)(Activation, Index n, const float* x, float* y);
  void (*activation_backward)(Activation, Index n, const float* d_y, const float* x, float* d_x, bool accumulate);
  void (*swiglu)(Index rows, Index hidden, const float* x, float* y);
  void (*swiglu_backward)(Index rows, Index hidden, const float* d_y, const float* x, float* d_x, bool accumulate);
  void (*linear_combination)(Index n, float alpha, const float* x, float beta, const float* y, float* out,
                             bool accumulate);
  void (*multiply)(Index n, const float* x, const float* y, float* out, bool accumulate);
  void (*scaled_difference)(Index n, float factor, const float* x, const float* y, float* d_x, float* d_y,
                            bool accumulate);
  double (*square_sum)(Index n, const float* x, const float* y);
  void (*adamw)(const AdamWFactors&, Index n, float* weight, const float* gradient, float* m, float* v, float* ema1,
                float* ema2);
};

}  // namespace backend::cpu
SFUMATO_END
