// Normalisation with modulation, a warp for each row, and gated residuals.
#pragma once

#include <sfumato/backend/cuda/sums.hpp>

#include <cmath>

SFUMATO_BEGIN
namespace backend::cuda {

/// y = (x_hat * weight + bias) * (1 + scale) + shift.
template <class X, class T, int V> struct Norm {
  static constexpr int threads = row_threads;
  static constexpr const char* name = "norm";
  using S = compute_t<T>;
  RowShape s;
  Index layer;  ///< subtract the mean
  double epsilon;
  const X* x;
  const T *weight, *bias, *shift, *scale;
  T* y;
  S *mean_out, *rstd_out;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index r = warp_of_grid(t);
    if (r >= s.rows) return;
    const X* const in = x + r * s.width;
    S mean = 0, square = 0;
    if (layer != 0) {
      for_row<V>(t, s.width, [&](Index j) {
        const auto values = load_as<V, S>(in + j);
        for (int i = 0; i < V; ++i) mean += values[i];
      });
      mean = warp_sum(t, mean) / static_cast<S>(s.width);
    }
    for_row<V>(t, s.width, [&](Index j) {
      const auto values = load_as<V, S>(in + j);
      for (int i = 0; i < V; ++i) square += (values[i] - mean) * (values[i] - mean);
    });
    const S rstd = 1 / std::sqrt(warp_sum(t, square) / static_cast<S>(s.width) + static_cast<S>(epsilon));
    const Index modulation = quotient(r, s.rows_per_sample) * s.modulation_stride;
    for_row<V>(t, s.width, [&](Index j) {
      auto values = load_as<V, S>(in + j);
      const auto w = load_or<V, S>(weight, j, S(1)), b = load_or<V, S>(bias, j, S(0)), up = load_or<V, S>(scale, modulation + j, S(0)),
                 add = load_or<V, S>(shift, modulation + j, S(0));
      for (int i = 0; i < V; ++i) values[i] = ((values[i] - mean) * rstd * w[i] + b[i]) * (1 + up[i]) + add[i];
      store_as<V>(y + r * s.width + j, values);
    });
    if (t.lane() == 0) {
      if (mean_out != nullptr) mean_out[r] = mean;
      if (rstd_out != nullptr) rstd_out[r] = rstd;
    }
  }
};

/// d_x (+)= rstd (d_x_hat - (mean d_x_hat + x_hat mean d_x_hat x_hat)), d_x_hat = d_y (1 + scale) weight.
template <class X, class T, int V> struct NormBackward {
  static constexpr int threads = row_threads;
  static constexpr const char* name = "norm_backward";
  using S = compute_t<T>;
  RowShape s;
  Index layer;
  const X* x;
  const T *d_y, *weight, *scale;
  const S *mean, *rstd;
  X* d_x;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index r = warp_of_grid(t);
    if (r >= s.rows) return;
    const Index modulation = quotient(r, s.rows_per_sample) * s.modulation_stride, at = r * s.width;
    const S middle = layer != 0 ? mean[r] : S(0), factor = rstd[r];
    const auto each = [&](auto&& f) {  // f(j, x_hat, d_x_hat)
      for_row<V>(t, s.width, [&](Index j) {
        auto x_hat = load_as<V, S>(x + at + j), d = load_as<V, S>(d_y + at + j);
        const auto w = load_or<V, S>(weight, j, S(1)), up = load_or<V, S>(scale, modulation + j, S(0));
        for (int i = 0; i < V; ++i) {
          x_hat[i] = (x_hat[i] - middle) * factor;
          d[i] *= (1 + up[i]) * w[i];
        }
        f(j, x_hat, d);
      });
    };
    S sum = 0, projection = 0;
    each([&](Index, const auto& x_hat, const auto& d) {
      for (int i = 0; i < V; ++i) sum += d[i], projection += d[i] * x_hat[i];
    });
    sum = layer != 0 ? warp_sum(t, sum) / static_cast<S>(s.width) : S(0);
    projection = warp_sum(t, projection) / static_cast<S>(s.width);
    each([&](Index j, const auto& x_hat, auto& d) {
      for (int i = 0; i < V; ++i) d[i] = factor * (d[i] - sum - x_hat[i] * projection);
      store_as<V>(d_x + at + j, d, accumulate != 0);
    });
  }
};

/// Of a group of rows with one modulation: A = sum d_y x_hat and B = sum d_y. With them d_shift += B,
/// d_scale += weight A + bias B; `partial` gets (1 + scale) A and (1 + scale) B, whose sums over groups are d_weight and d_bias. Where
/// each row has its own (`by_row`), 1 + scale is in the sums, and the modulation's gradients are ModulationByRow's.
template <class X, class T> struct NormSums {
  static constexpr const char* name = "norm_backward_sums";
  static constexpr int count = 2;
  using sum = compute_t<T>;
  Index width, layer, modulation_stride;
  const X* x;
  const T *d_y, *weight, *bias, *scale;
  const sum *mean, *rstd;
  T *d_shift, *d_scale;
  sum *partial_weight, *partial_bias;
  Index by_row;

  template <int V> SFUMATO_DEVICE void add(Index row, Index column, Pack<sum, V> (&sums)[count]) const {
    const auto d = load_as<V, sum>(d_y + row * width + column), values = load_as<V, sum>(x + row * width + column);
    const sum middle = layer != 0 ? mean[row] : sum(0), factor = rstd[row];
    const auto up = load_or<V, sum>(by_row != 0 ? scale : nullptr, row * modulation_stride + column, sum(0));
    for (int i = 0; i < V; ++i) {
      sums[0][i] += (1 + up[i]) * d[i] * (values[i] - middle) * factor;
      sums[1][i] += (1 + up[i]) * d[i];
    }
  }
  template <int V> SFUMATO_DEVICE void finish(Index group, Index column, const Pack<sum, V> (&sums)[count]) const {
    const Index modulation = group * modulation_stride + column;
    if (by_row == 0 && d_shift != nullptr) store_as<V>(d_shift + modulation, sums[1], true);
    if (by_row == 0 && d_scale != nullptr) {
      const auto w = load_or<V, sum>(weight, column, sum(1)), b = load_or<V, sum>(bias, column, sum(0));
      Pack<sum, V> d;
      for (int i = 0; i < V; ++i) d[i] = w[i] * sums[0][i] + b[i] * sums[1][i];
      store_as<V>(d_scale + modulation, d, true);
    }
    const auto up = load_or<V, sum>(by_row == 0 ? scale : nullptr, modulation, sum(0));
    put<V>(partial_weight, group, column, up, sums[0]);
    put<V>(partial_bias, group, column, up, sums[1]);
  }

 private:
  template <int V> SFUMATO_DEVICE void put(sum* partial, Index group, Index column, const Pack<sum, V>& up, Pack<sum, V> values) const {
    if (partial == nullptr) return;
    for (int i = 0; i < V; ++i) values[i] *= 1 + up[i];
    store<V>(partial + group * width + column, values);
  }
};

/// Of rows that each have a modulation of their own: d_shift += d_y, d_scale += d_y (x_hat weight + bias).
template <class X, class T> struct ModulationByRow {
  static constexpr const char* name = "norm_backward_modulation";
  NormSums<X, T> s;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    using S = compute_t<T>;
    const Index column = i - row * s.width, at = row * s.modulation_stride + column;
    auto d = load_as<V, S>(s.d_y + i);
    if (s.d_shift != nullptr) store_as<V>(s.d_shift + at, d, true);
    if (s.d_scale == nullptr) return;
    const auto values = load_as<V, S>(s.x + i), w = load_or<V, S>(s.weight, column, S(1)), b = load_or<V, S>(s.bias, column, S(0));
    const S middle = s.layer != 0 ? s.mean[row] : S(0), factor = s.rstd[row];
    for (int j = 0; j < V; ++j) d[j] *= (values[j] - middle) * factor * w[j] + b[j];
    store_as<V>(s.d_scale + at, d, true);
  }
};
template <class X, class T> struct GateByRow {
  static constexpr const char* name = "gated_residual_backward_gate";
  const X* d_y;
  const T* h;
  T* d_gate;
  Index width, stride;

  template <int V> SFUMATO_DEVICE void apply(Index row, Index i) const {
    auto d = load_as<V, compute_t<T>>(d_y + i);
    const auto values = load_as<V, compute_t<T>>(h + i);
    for (int j = 0; j < V; ++j) d[j] *= values[j];
    store_as<V>(d_gate + row * stride + (i - row * width), d, true);
  }
};

/// d_gate += sum d_y h over the rows of a sample.
template <class X, class T> struct GateSums {
  static constexpr const char* name = "gated_residual_backward_sums";
  static constexpr int count = 1;
  using sum = compute_t<T>;
  const X* d_y;
  const T* h;
  T* d_gate;
  Index width, stride;

  template <int V> SFUMATO_DEVICE void add(Index row, Index column, Pack<sum, V> (&sums)[count]) const {
    const auto d = load_as<V, sum>(d_y + row * width + column), values = load_as<V, sum>(h + row * width + column);
    for (int i = 0; i < V; ++i) sums[0][i] += d[i] * values[i];
  }
  template <int V> SFUMATO_DEVICE void finish(Index group, Index column, const Pack<sum, V> (&sums)[count]) const {
    store_as<V>(d_gate + group * stride + column, sums[0], true);
  }
};

/// Whether rows and arrays can be moved by 16 bytes of T at once, which is the widest element among them.
template <class T, class... P> bool packs(const RowShape& s, const P*... pointers) {
  constexpr Index pack = 16 / Index(sizeof(T));
  return s.width % pack == 0 && s.modulation_stride % pack == 0 && aligned(pointers...);
}
/// f(integral_constant of the elements that are moved at once).
template <class T, class F> void by_packs(bool whole, const F& f) {
  if (whole) f(std::integral_constant<int, 16 / int(sizeof(T))>{});
  else f(std::integral_constant<int, 1>{});
}

struct NormKernels {
  template <class X, class T, class Api>
  static void norm(BasicCuda<Api>& b, NormKind kind, const RowShape& s, double epsilon, const X* x, Nullable<const T> weight, Nullable<const T> bias,
                   Nullable<const T> shift, Nullable<const T> scale, T* y, Nullable<compute_t<T>> mean_out, Nullable<compute_t<T>> rstd_out) {
    by_packs<X>(packs<X>(s, x, weight, bias, shift, scale, y), [&]<int V>(std::integral_constant<int, V>) {
      b.launch(grid_of_warps(s.rows), Norm<X, T, V>{s, kind == NormKind::layer, epsilon, x, weight, bias, shift, scale, y, mean_out, rstd_out});
    });
  }

  template <class X, class T, class Api>
  static void norm_backward(BasicCuda<Api>& b, NormKind kind, const RowShape& s, const T* d_y, const X* x, Nullable<const T> weight,
                            Nullable<const T> bias, Nullable<const T> scale, Nullable<const compute_t<T>> mean, const compute_t<T>* rstd,
                            Nullable<X> d_x, bool accumulate, Nullable<T> d_weight, Nullable<T> d_bias, Nullable<T> d_shift, Nullable<T> d_scale) {
    using S = compute_t<T>;
    const bool layer = kind == NormKind::layer;
    if (d_x != nullptr)
      by_packs<X>(packs<X>(s, d_y, x, weight, scale, d_x), [&]<int V>(std::integral_constant<int, V>) {
        b.launch(grid_of_warps(s.rows), NormBackward<X, T, V>{s, layer, x, d_y, weight, scale, mean, rstd, d_x, accumulate});
      });
    if (d_weight == nullptr && d_bias == nullptr && d_shift == nullptr && d_scale == nullptr) return;
    const bool modulated = scale != nullptr || d_shift != nullptr || d_scale != nullptr;
    const bool by_row = modulated && s.rows_per_sample == 1, whole = packs<X>(s, d_y, x, weight, bias, scale, d_shift, d_scale);
    const Index per_group = modulated && !by_row ? s.rows_per_sample : rows_per_group(s.rows), count = (s.rows + per_group - 1) / per_group;
    const bool summed = d_weight != nullptr || d_bias != nullptr;
    S* const partial = summed ? b.template scratch<S>((2 * count + groups(count)) * s.width) : nullptr;
    const NormSums<X, T> sums{s.width, layer, s.modulation_stride, x, d_y, weight, bias, scale, mean, rstd, d_shift, d_scale,
                              d_weight != nullptr ? partial : nullptr, d_bias != nullptr ? partial + count * s.width : nullptr, by_row};
    if (by_row && (d_shift != nullptr || d_scale != nullptr)) launch_elementwise<X>(b, s.rows, s.width, ModulationByRow<X, T>{sums}, whole);
    if (by_row && !summed) return;
    sum_groups<X>(b, s.rows, s.width, per_group, sums, whole);
    if (d_weight != nullptr) add_column_sums(b, count, s.width, static_cast<const S*>(partial), d_weight, partial + 2 * count * s.width);
    if (d_bias != nullptr) add_column_sums(b, count, s.width, static_cast<const S*>(partial + count * s.width), d_bias, partial + 2 * count * s.width);
  }

  template <class X, class T, class Api>
  static void gated_residual_backward(BasicCuda<Api>& b, const RowShape& s, const X* d_y, const T* h, const T* gate, Nullable<T> d_h, bool accumulate,
                                      Nullable<T> d_gate) {
    if (d_h != nullptr)
      launch_elementwise<X>(b, s.rows, s.width, GatedResidualBackward<X, T>{d_y, gate, d_h, s.width, s.rows_per_sample, s.modulation_stride, accumulate},
                            aligned(d_y, d_h, gate, gate + s.modulation_stride));
    if (d_gate != nullptr && s.rows_per_sample == 1)
      launch_elementwise<X>(b, s.rows, s.width, GateByRow<X, T>{d_y, h, d_gate, s.width, s.modulation_stride}, packs<X>(s, d_y, h, d_gate));
    else if (d_gate != nullptr)
      sum_groups<X>(b, s.rows, s.width, s.rows_per_sample, GateSums<X, T>{d_y, h, d_gate, s.width, s.modulation_stride}, packs<X>(s, d_y, h, d_gate));
  }
};

}  // namespace backend::cuda
SFUMATO_END
