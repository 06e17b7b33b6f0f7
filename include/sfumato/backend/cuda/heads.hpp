// QK-norm and rotary embedding: some lanes of a warp for each head.
#pragma once

#include <sfumato/backend/cuda/norm.hpp>

#include <cmath>

SFUMATO_BEGIN
namespace backend::cuda {

/// value(j), V neighbours from j on, with each pair (2i, 2i + 1) turned by the angle whose (cos, sin) the table holds, or by
/// its negative (direction -1). No table: not turned. A last one without a partner is left as it is.
template <int V, class S, class T, class F> SFUMATO_DEVICE Pack<S, V> turned(const F& value, const T* table, Index j, Index width, S direction) {
  Pack<S, V> x = value(j);
  if (table == nullptr) return x;
  if constexpr (V == 1) {
    const Index even = j / 2 * 2;
    if (even + 1 >= width) return x;
    const S cosine = static_cast<S>(table[even]), sine = direction * static_cast<S>(table[even + 1]), partner = value(j ^ 1)[0];
    x[0] = x[0] * cosine + (j == even ? -partner : partner) * sine;
  } else {
    const auto turn = load_as<V, S>(table + j);
    for (int i = 0; i < V; i += 2) {
      const S first = x[i], second = x[i + 1], cosine = turn[i], sine = direction * turn[i + 1];
      x[i] = first * cosine - second * sine;
      x[i + 1] = second * cosine + first * sine;
    }
  }
  return x;
}

/// What the kernels over the heads of q and k share: `lanes`, a power of two, for each head of each row.
template <class T> struct Heads {
  QkShape s;
  Index lanes;
  const T *qkv, *q_weight, *k_weight, *table;

  Index warps() const { return (s.rows * 2 * s.heads * lanes + warp_size - 1) / warp_size; }
  SFUMATO_DEVICE bool of_q(Index head) const { return head - quotient(head, 2 * s.heads) * 2 * s.heads < s.heads; }
  SFUMATO_DEVICE const T* weight(Index head) const { return of_q(head) ? q_weight : k_weight; }
  /// Where head `head` stands in qkv: rows are 3 * heads long there.
  SFUMATO_DEVICE Index place(Index head) const { return (head + quotient(head, 2 * s.heads) * s.heads) * s.head_dim; }
  SFUMATO_DEVICE const T* turn(Index head) const {
    const Index row = quotient(head, 2 * s.heads);
    return table != nullptr ? table + (row - quotient(row, s.tokens) * s.tokens) * s.head_dim : nullptr;
  }
  /// Calls f(j) for the lane's share of a head.
  template <int V, class Thread, class F> SFUMATO_DEVICE void for_each(Thread& t, const F& f) const {
    for (Index j = (t.lane() & (lanes - 1)) * V; j < s.head_dim; j += lanes * V) f(j);
  }
  template <class Thread> SFUMATO_DEVICE Index head(Thread& t) const { return quotient(warp_of_grid(t) * warp_size + t.lane(), lanes); }
};

/// RMSNorm of each head of q and k where there is a weight, then rotation of interleaved pairs.
template <class T, int V> struct QkNormRotary {
  static constexpr int threads = row_threads;
  static constexpr const char* name = "qk_norm_rotary";
  using S = compute_t<T>;
  Heads<T> heads;
  T* qk;
  S* rstd_out;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index head = heads.head(t), width = heads.s.head_dim;
    const bool mine = head < heads.s.rows * 2 * heads.s.heads;  // else this lane only takes part in the sums of its warp
    const T* const x = heads.qkv + (mine ? heads.place(head) : 0);
    const T* const weight = heads.weight(head);
    S square = 0;
    if (mine && weight != nullptr)
      heads.template for_each<V>(t, [&](Index j) {
        const auto values = load_as<V, S>(x + j);
        for (int i = 0; i < V; ++i) square += values[i] * values[i];
      });
    square = group_sum(t, square, static_cast<int>(heads.lanes));
    if (!mine) return;
    const S rstd = weight != nullptr ? 1 / std::sqrt(square / static_cast<S>(width) + static_cast<S>(heads.s.epsilon)) : S(1);
    const auto normed = [&](Index j) {
      auto values = load_as<V, S>(x + j);
      const auto w = load_or<V, S>(weight, j, S(1));
      for (int i = 0; i < V; ++i) values[i] *= rstd * w[i];
      return values;
    };
    const T* const table = heads.turn(head);
    heads.template for_each<V>(t, [&](Index j) { store_as<V>(qk + head * width + j, turned<V>(normed, table, j, width, S(1))); });
    if (rstd_out != nullptr && (t.lane() & (heads.lanes - 1)) == 0) rstd_out[head] = rstd;
  }
};

/// d_x (+)= rstd (d - x_hat mean(d x_hat)), d = weight times d_qk turned back; without a weight d_qk turned back.
template <class T, int V> struct QkNormRotaryBackward {
  static constexpr int threads = row_threads;
  static constexpr const char* name = "qk_norm_rotary_backward";
  using S = compute_t<T>;
  Heads<T> heads;
  const T* d_qk;
  const S* rstd;
  T* d_qkv;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index head = heads.head(t), width = heads.s.head_dim;
    const bool mine = head < heads.s.rows * 2 * heads.s.heads;
    const Index at = mine ? heads.place(head) : 0;
    const T *const weight = heads.weight(head), *const table = mine ? heads.turn(head) : nullptr, *const d_head = d_qk + (mine ? head * width : 0);
    const S scale = mine && weight != nullptr ? rstd[head] : S(1);
    const auto gradient = [&](Index j) {
      auto d = turned<V>([&](Index i) { return load_as<V, S>(d_head + i); }, table, j, width, S(-1));
      const auto w = load_or<V, S>(weight, j, S(1));
      for (int i = 0; i < V; ++i) d[i] *= w[i];
      return d;
    };
    S projection = 0;
    if (mine && weight != nullptr)
      heads.template for_each<V>(t, [&](Index j) {
        const auto d = gradient(j), x = load_as<V, S>(heads.qkv + at + j);
        for (int i = 0; i < V; ++i) projection += d[i] * x[i] * scale;
      });
    projection = group_sum(t, projection, static_cast<int>(heads.lanes)) / static_cast<S>(width);
    if (!mine) return;
    heads.template for_each<V>(t, [&](Index j) {
      auto d = gradient(j);
      if (weight != nullptr) {
        const auto x = load_as<V, S>(heads.qkv + at + j);
        for (int i = 0; i < V; ++i) d[i] = scale * (d[i] - x[i] * scale * projection);
      }
      store_as<V>(d_qkv + at + j, d, accumulate != 0);
    });
  }
};

/// Sums of (d_qk turned back) x_hat over the heads of q, or of k, of groups of rows. A row of these sums is a head.
template <class T> struct QkWeightSums {
  static constexpr const char* name = "qk_norm_rotary_backward_sums";
  static constexpr int count = 1;
  using sum = compute_t<T>;
  Heads<T> heads;
  Index of_k;
  const T* d_qk;
  const sum* rstd;
  sum* partial;

  template <int V> SFUMATO_DEVICE void add(Index row, Index column, Pack<sum, V> (&sums)[count]) const {
    const Index head = row + (quotient(row, heads.s.heads) + of_k) * heads.s.heads;  // among those of q and k
    const T* const d_head = d_qk + head * heads.s.head_dim;
    const auto d = turned<V>([&](Index j) { return load_as<V, sum>(d_head + j); }, heads.turn(head), column, heads.s.head_dim, sum(-1));
    const auto x = load_as<V, sum>(heads.qkv + heads.place(head) + column);
    const sum factor = rstd[head];
    for (int i = 0; i < V; ++i) sums[0][i] += d[i] * x[i] * factor;
  }
  template <int V> SFUMATO_DEVICE void finish(Index group, Index column, const Pack<sum, V> (&sums)[count]) const {
    store<V>(partial + group * heads.s.head_dim + column, sums[0]);
  }
};

struct HeadKernels {
  template <class T, class Api>
  static void qk_norm_rotary(BasicCuda<Api>& b, const QkShape& s, const T* qkv, Nullable<const T> q_weight, Nullable<const T> k_weight,
                             Nullable<const T> table, T* qk, Nullable<compute_t<T>> rstd_out) {
    by_packs<T>(packs<T>(s, qkv, q_weight, k_weight, table, qk), [&]<int V>(std::integral_constant<int, V>) {
      const Heads<T> heads{s, lanes(s.head_dim, V), qkv, q_weight, k_weight, table};
      b.launch(grid_of_warps(heads.warps()), QkNormRotary<T, V>{heads, qk, rstd_out});
    });
  }

  template <class T, class Api>
  static void qk_norm_rotary_backward(BasicCuda<Api>& b, const QkShape& s, const T* d_qk, const T* qkv, Nullable<const T> q_weight,
                                      Nullable<const T> k_weight, Nullable<const T> table, Nullable<const compute_t<T>> rstd, T* d_qkv, bool accumulate,
                                      Nullable<T> d_q_weight, Nullable<T> d_k_weight) {
    using S = compute_t<T>;
    const bool whole = packs<T>(s, d_qk, qkv, q_weight, k_weight, table, d_qkv);
    by_packs<T>(whole, [&]<int V>(std::integral_constant<int, V>) {
      const Heads<T> heads{s, lanes(s.head_dim, V), qkv, q_weight, k_weight, table};
      b.launch(grid_of_warps(heads.warps()), QkNormRotaryBackward<T, V>{heads, d_qk, rstd, d_qkv, accumulate});
    });
    const auto weight_gradient = [&](Index of_k, const T* weight, T* d_weight) {
      if (weight == nullptr || d_weight == nullptr) return;
      const Index rows = s.rows * s.heads, per_group = rows_per_group(rows), count = groups(rows);
      S* const partial = b.template scratch<S>((count + groups(count)) * s.head_dim);
      sum_groups<T>(b, rows, s.head_dim, per_group, QkWeightSums<T>{{s, 1, qkv, q_weight, k_weight, table}, of_k, d_qk, rstd, partial}, whole);
      add_column_sums(b, count, s.head_dim, static_cast<const S*>(partial), d_weight, partial + count * s.head_dim);
    };
    weight_gradient(0, q_weight, d_q_weight);
    weight_gradient(1, k_weight, d_k_weight);
  }

 private:
  /// Lanes for a head, a power of two.
  static Index lanes(Index head_dim, Index pack) {
    Index n = 1;
    while (n < warp_size && n * pack < head_dim) n *= 2;
    return n;
  }
  template <class T, class... P> static bool packs(const QkShape& s, const P*... pointers) {
    return s.head_dim % (16 / Index(sizeof(T))) == 0 && aligned(pointers...);
  }
};

}  // namespace backend::cuda
SFUMATO_END
