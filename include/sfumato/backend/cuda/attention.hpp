// Multi-head attention without the score matrix: tiles of 64 queries by 64 keys, softmax on line (Dao 2023, FlashAttention-2).
// Gradients in two kernels, one by keys and one by queries, so that every sum has one owner and its order is always the same.
#pragma once

#include <sfumato/backend/cuda/elementwise.hpp>

#include <cmath>
#include <limits>

SFUMATO_BEGIN
namespace backend::cuda {

/// Which tile of which head a block has: `tiles` of 64 rows, and `groups` of columns of the output.
struct AttentionGrid {
  Index tiles, groups;

  struct Place {
    Index tile, group, head, sample;
  };
  SFUMATO_DEVICE Place place(Index block, Index heads) const {
    const Index rest = quotient(block, tiles), column = quotient(rest, groups), sample = quotient(column, heads);
    return {block - rest * tiles, rest - column * groups, column - sample * heads, sample};
  }
};

/// What the kernels share: 16 x 16 threads, each with 4 x 4 scores of a tile (rows y + 16 i, columns x + 16 j), and with
/// 4 x 2 elements of each chunk of 32 columns of an output of 64 rows.
template <class T, int Chunks> struct AttentionTile {
  static constexpr int threads = 256, size = 64, chunk = 32, row = chunk + 1, score_row = size + 1, columns = Chunks * chunk;
  using S = compute_t<T>;
  static constexpr Index shared_bytes = (2 * ((size * row * Index(sizeof(S)) + 15) / 16) + (size * score_row * Index(sizeof(S)) + 15) / 16) * 16;

  /// Some rows of q, k, v or their like, of one head.
  struct Rows {
    const T* data;
    Index stride, first, count;  ///< the tile begins at `first` of `count`
  };
  struct Scores {
    S at[4][4] = {};
  };
  struct Output {
    S at[Chunks][4][2] = {};
  };

  template <class Thread> class Block {
   public:
    using Shared = decltype(std::declval<Thread&>().template shared<S>(1));
    SFUMATO_DEVICE Block(Thread& t, Index width)
        : t_(t), width_(width), a_(t.template shared<S>(size * row)), b_(t.template shared<S>(size * row)), scores_(t.template shared<S>(size * score_row)) {}
    SFUMATO_DEVICE int x() const { return t_.thread() % 16; }
    SFUMATO_DEVICE int y() const { return t_.thread() / 16; }

    /// a b^T over the whole width.
    SFUMATO_DEVICE Scores product(const Rows& a, const Rows& b) {
      Scores s;
      for (Index begin = 0; begin < width_; begin += chunk) {
        t_.sync();
        load(a_, a, begin);
        load(b_, b, begin);
        t_.sync();
        for (int k = 0; k < chunk; ++k) {
          S left[4], right[4];
          for (int i = 0; i < 4; ++i) left[i] = a_[(y() + 16 * i) * row + k], right[i] = b_[(x() + 16 * i) * row + k];
          for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j) s.at[i][j] += left[i] * right[j];
        }
      }
      return s;
    }
    /// Leaves the scores for `add_product`; a `product` must lie between two of these.
    SFUMATO_DEVICE void put(const Scores& s) {
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) scores_.set((y() + 16 * i) * score_row + x() + 16 * j, s.at[i][j]);
    }
    /// out += (what was put) b, columns from `first` on.
    SFUMATO_DEVICE void add_product(Output& out, const Rows& b, Index first) {
SFUMATO_DEVICE_UNROLL
      for (int c = 0; c < Chunks; ++c) {
        if (first + c * chunk >= width_) continue;
        t_.sync();
        load(b_, b, first + c * chunk);
        t_.sync();
        for (int k = 0; k < size; ++k) {
          const S right[2] = {b_[k * row + x()], b_[k * row + x() + 16]};
          for (int i = 0; i < 4; ++i) {
            const S left = scores_[(y() + 16 * i) * score_row + k];
            out.at[c][i][0] += left * right[0];
            out.at[c][i][1] += left * right[1];
          }
        }
      }
    }
    /// Calls f(row, column, value) for this thread's elements of an output of `rows` rows from `first_row` on.
    template <class F> SFUMATO_DEVICE void each(Output& out, Index first_row, Index rows, Index first_column, const F& f) const {
SFUMATO_DEVICE_UNROLL
      for (int c = 0; c < Chunks; ++c)
SFUMATO_DEVICE_UNROLL
        for (int i = 0; i < 4; ++i)
SFUMATO_DEVICE_UNROLL
          for (int j = 0; j < 2; ++j) {
            const Index r = first_row + y() + 16 * i, column = first_column + c * chunk + x() + 16 * j;
            if (r < rows && column < width_) f(r, column, out.at[c][i][j]);
          }
    }

   private:
    /// 32 columns of 64 rows, 0 beyond the ends.
    SFUMATO_DEVICE void load(const Shared& to, const Rows& from, Index begin) {
      for (int e = t_.thread(); e < size * chunk; e += threads) {
        const int r = e / chunk, column = e % chunk;
        const bool inside = from.first + r < from.count && begin + column < width_;
        to.set(r * row + column, inside ? static_cast<S>(from.data[(from.first + r) * from.stride + begin + column]) : S(0));
      }
    }
    Thread& t_;
    Index width_;
    Shared a_, b_, scores_;
  };
};

/// out = softmax(scale q k^T) v; lse the logarithm of each row's sum of exponentials.
template <class T, int Chunks> struct Attention {
  static constexpr const char* name = "attention";
  using Tile = AttentionTile<T, Chunks>;
  using S = compute_t<T>;
  static constexpr int threads = Tile::threads;
  AttentionGrid grid;
  AttentionShape s;
  const T *q, *k, *v;
  T* out;
  S* lse;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const auto at = grid.place(t.block(), s.heads);
    const Index head = at.head * s.head_dim, first = at.tile * Tile::size, column = at.group * Tile::columns;
    typename Tile::template Block<Thread> block(t, s.head_dim);
    typename Tile::Output result;
    S largest[4], sum[4] = {};
    for (S& m : largest) m = -std::numeric_limits<S>::infinity();
    const auto scale = static_cast<S>(s.scale);
    for (Index key = 0; key < s.keys; key += Tile::size) {
      auto scores = block.product({q + at.sample * s.q_batch + head, s.q_row, first, s.queries}, {k + at.sample * s.k_batch + head, s.k_row, key, s.keys});
      for (int i = 0; i < 4; ++i) {
        S m = largest[i];
        for (int j = 0; j < 4; ++j) {
          S& score = scores.at[i][j];
          score = key + block.x() + 16 * j < s.keys ? score * scale : -std::numeric_limits<S>::infinity();
          m = score > m ? score : m;
        }
        m = group_max(t, m, 16);
        const S shrink = std::exp(largest[i] - m);
        largest[i] = m;
        S part = 0;
        for (int j = 0; j < 4; ++j) part += scores.at[i][j] = std::exp(scores.at[i][j] - m);
        sum[i] = sum[i] * shrink + group_sum(t, part, 16);
        for (int c = 0; c < Chunks; ++c) result.at[c][i][0] *= shrink, result.at[c][i][1] *= shrink;
      }
      block.put(scores);
      block.add_product(result, {v + at.sample * s.v_batch + head, s.v_row, key, s.keys}, column);
    }
    for (int i = 0; i < 4; ++i)
      for (int c = 0; c < Chunks; ++c) result.at[c][i][0] /= sum[i], result.at[c][i][1] /= sum[i];
    T* const to = out + at.sample * s.o_batch + head;
    block.each(result, first, s.queries, column, [&](Index row, Index j, S value) { to[row * s.o_row + j] = static_cast<T>(value); });
    if (lse == nullptr || at.group > 0 || block.x() > 0) return;
    for (int i = 0; i < 4; ++i) {
      const Index row = first + block.y() + 16 * i;
      if (row < s.queries) lse[(at.sample * s.heads + at.head) * s.queries + row] = largest[i] + std::log(sum[i]);
    }
  }
};

/// dot = sum of d_out * out over each head of each query, (batch, heads, queries): what softmax's gradient subtracts.
template <class T> struct AttentionDot {
  static constexpr const char* name = "attention_backward_dot";
  static constexpr int threads = row_threads;
  using S = compute_t<T>;
  AttentionShape s;
  const T *d_out, *out;
  S* dot;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const Index i = warp_of_grid(t);
    if (i >= s.batch * s.heads * s.queries) return;
    const Index head = quotient(i, s.queries), sample = quotient(head, s.heads);
    const Index at = sample * s.o_batch + (i - head * s.queries) * s.o_row + (head - sample * s.heads) * s.head_dim;
    S sum = 0;
    for_row<1>(t, s.head_dim, [&](Index j) { sum += static_cast<S>(d_out[at + j]) * static_cast<S>(out[at + j]); });
    sum = warp_sum(t, sum);
    if (t.lane() == 0) dot[i] = sum;
  }
};

/// With P = exp(scale q k^T - lse) and d_S = scale P (d_out v^T - dot): d_v = P^T d_out, d_k = d_S^T q, by tiles of keys.
template <class T, int Chunks> struct AttentionKeyGradients {
  static constexpr const char* name = "attention_backward_keys";
  using Tile = AttentionTile<T, Chunks>;
  using S = compute_t<T>;
  static constexpr int threads = Tile::threads;
  AttentionGrid grid;
  AttentionShape s;
  const T *d_out, *q, *k, *v;
  const S *lse, *dot;
  T *d_k, *d_v;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const auto at = grid.place(t.block(), s.heads);
    const Index head = at.head * s.head_dim, first = at.tile * Tile::size, column = at.group * Tile::columns, kept = (at.sample * s.heads + at.head) * s.queries;
    typename Tile::template Block<Thread> block(t, s.head_dim);
    typename Tile::Output key_gradient, value_gradient;
    for (Index query = 0; query < s.queries; query += Tile::size) {
      const typename Tile::Rows queries{q + at.sample * s.q_batch + head, s.q_row, query, s.queries}, d_outs{d_out + at.sample * s.o_batch + head, s.o_row, query, s.queries};
      auto p = block.product({k + at.sample * s.k_batch + head, s.k_row, first, s.keys}, queries);
      S subtract[4];
      for (int j = 0; j < 4; ++j) {
        const Index column_query = query + block.x() + 16 * j;
        const bool inside = column_query < s.queries;
        subtract[j] = inside ? dot[kept + column_query] : S(0);
        for (int i = 0; i < 4; ++i) p.at[i][j] = inside ? std::exp(static_cast<S>(s.scale) * p.at[i][j] - lse[kept + column_query]) : S(0);
      }
      block.put(p);
      block.add_product(value_gradient, d_outs, column);
      const auto d_p = block.product({v + at.sample * s.v_batch + head, s.v_row, first, s.keys}, d_outs);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) p.at[i][j] *= static_cast<S>(s.scale) * (d_p.at[i][j] - subtract[j]);
      block.put(p);
      block.add_product(key_gradient, queries, column);
    }
    const auto write = [&](typename Tile::Output& gradient, T* to, Index stride) {
      block.each(gradient, first, s.keys, column, [&](Index row, Index j, S value) { store_as<1>(to + row * stride + j, Pack<S, 1>{{value}}, accumulate != 0); });
    };
    write(key_gradient, d_k + at.sample * s.k_batch + head, s.k_row);
    write(value_gradient, d_v + at.sample * s.v_batch + head, s.v_row);
  }
};

/// d_q = d_S k, by tiles of queries.
template <class T, int Chunks> struct AttentionQueryGradients {
  static constexpr const char* name = "attention_backward_queries";
  using Tile = AttentionTile<T, Chunks>;
  using S = compute_t<T>;
  static constexpr int threads = Tile::threads;
  AttentionGrid grid;
  AttentionShape s;
  const T *d_out, *q, *k, *v;
  const S *lse, *dot;
  T* d_q;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const auto at = grid.place(t.block(), s.heads);
    const Index head = at.head * s.head_dim, first = at.tile * Tile::size, column = at.group * Tile::columns, kept = (at.sample * s.heads + at.head) * s.queries;
    typename Tile::template Block<Thread> block(t, s.head_dim);
    typename Tile::Output gradient;
    S log_sum[4], subtract[4];
    for (int i = 0; i < 4; ++i) {
      const Index row = first + block.y() + 16 * i;
      log_sum[i] = row < s.queries ? lse[kept + row] : S(0);
      subtract[i] = row < s.queries ? dot[kept + row] : S(0);
    }
    for (Index key = 0; key < s.keys; key += Tile::size) {
      const typename Tile::Rows keys{k + at.sample * s.k_batch + head, s.k_row, key, s.keys};
      auto d_s = block.product({q + at.sample * s.q_batch + head, s.q_row, first, s.queries}, keys);
      const auto d_p = block.product({d_out + at.sample * s.o_batch + head, s.o_row, first, s.queries}, {v + at.sample * s.v_batch + head, s.v_row, key, s.keys});
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
          const S p = std::exp(static_cast<S>(s.scale) * d_s.at[i][j] - log_sum[i]);
          d_s.at[i][j] = key + block.x() + 16 * j < s.keys ? static_cast<S>(s.scale) * p * (d_p.at[i][j] - subtract[i]) : S(0);
        }
      block.put(d_s);
      block.add_product(gradient, keys, column);
    }
    T* const to = d_q + at.sample * s.q_batch + head;
    block.each(gradient, first, s.queries, column, [&](Index row, Index j, S value) { store_as<1>(to + row * s.q_row + j, Pack<S, 1>{{value}}, accumulate != 0); });
  }
};

/// Attention by plain arithmetic, for any width of head.
struct TiledAttention {
  template <class T, class Api>
  static void attention(BasicCuda<Api>& b, const AttentionShape& s, const T* q, const T* k, const T* v, T* out, Nullable<compute_t<T>> lse) {
    by_width(s.head_dim, [&]<int Chunks>(std::integral_constant<int, Chunks>) {
      launch<Chunks>(b, s, s.queries, [&](const AttentionGrid& grid) { return Attention<T, Chunks>{grid, s, q, k, v, out, lse}; });
    });
  }
  /// `dot` is what AttentionDot leaves.
  template <class T, class Api>
  static void gradients(BasicCuda<Api>& b, const AttentionShape& s, const T* d_out, const T* q, const T* k, const T* v, const compute_t<T>* lse,
                        const compute_t<T>* dot, T* d_q, T* d_k, T* d_v, bool accumulate) {
    by_width(s.head_dim, [&]<int Chunks>(std::integral_constant<int, Chunks>) {
      launch<Chunks>(b, s, s.keys, [&](const AttentionGrid& grid) { return AttentionKeyGradients<T, Chunks>{grid, s, d_out, q, k, v, lse, dot, d_k, d_v, accumulate}; });
      launch<Chunks>(b, s, s.queries, [&](const AttentionGrid& grid) { return AttentionQueryGradients<T, Chunks>{grid, s, d_out, q, k, v, lse, dot, d_q, accumulate}; });
    });
  }

 private:
  /// Wide heads are cut into groups of 128 columns, which compute their scores anew.
  template <class F> static void by_width(Index head_dim, const F& f) {
    if (head_dim <= 32) f(std::integral_constant<int, 1>{});
    else if (head_dim <= 64) f(std::integral_constant<int, 2>{});
    else f(std::integral_constant<int, 4>{});
  }
  template <int Chunks, class Api, class Make> static void launch(BasicCuda<Api>& b, const AttentionShape& s, Index rows, const Make& make) {
    using Kernel = decltype(make(AttentionGrid{}));
    using Tile = typename Kernel::Tile;
    const AttentionGrid grid{(rows + Tile::size - 1) / Tile::size, (s.head_dim + Tile::columns - 1) / Tile::columns};
    b.launch({.x = grid.tiles * grid.groups * s.heads * s.batch, .shared_bytes = Tile::shared_bytes}, make(grid));
  }
};

}  // namespace backend::cuda
SFUMATO_END
