// Attention of bf16 on tensor cores: tiles of 64 by 64, four warps of 16 rows each, operands copied to shared memory while
// others are computed on (Dao 2023, FlashAttention-2). Probabilities are rounded to bf16 for the products, sums are f32.
#pragma once

#include <sfumato/backend/cuda/attention.hpp>

#include <cmath>
#include <limits>

SFUMATO_BEGIN
namespace backend::cuda {

/// A tile of 64 rows of heads up to 16 Steps wide, in shared memory.
template <int Steps> struct MmaTile {
  static constexpr int threads = 128, size = 64, width = 16 * Steps, row = width + 8;  // 8: neighbouring rows in different banks
  static constexpr Index bytes = Index{size} * row * Index(sizeof(bf16));

  struct Rows {
    const bf16* data;
    Index stride, first, count;  ///< the tile begins at `first` of `count`
  };
  /// 16 rows of a warp, 8 columns each: of scores, and of the columns of a head.
  template <int Tiles> struct Scores {
    Accumulator at[Tiles];
  };
  using Output = Scores<2 * Steps>;

  template <class Thread> class Block {
   public:
    using Shared = decltype(std::declval<Thread&>().template shared<bf16>(1));
    SFUMATO_DEVICE Block(Thread& t, Index head_dim) : t_(t), head_dim_(head_dim) {}
    SFUMATO_DEVICE Shared take() { return t_.template shared<bf16>(size * row); }

    /// This lane's first row of the tile, the other is 8 below; and its first column of each 8, the other is the next.
    SFUMATO_DEVICE int my_row() const { return t_.warp() * 16 + t_.lane() / 4; }
    SFUMATO_DEVICE int my_column() const { return t_.lane() % 4 * 2; }

    /// Begins to copy, 0 beyond the ends; to be waited for.
    SFUMATO_DEVICE void load(const Shared& to, const Rows& from) {
      constexpr int chunk = 8, chunks = width / chunk;
      for (int i = t_.thread(); i < size * chunks; i += threads) {
        const int r = i / chunks, column = i % chunks * chunk;
        const bool inside = from.first + r < from.count && column < head_dim_;
        t_.copy_async(to, r * row + column, from.data + (inside ? (from.first + r) * from.stride + column : 0), inside);
      }
    }
    SFUMATO_DEVICE void wait() {
      t_.wait_async();
      t_.sync();
    }
    /// The warp's 16 rows of `from` as left operand, 16 columns from 16 * step on.
    SFUMATO_DEVICE void left(Pair (&a)[4], const Shared& from, int step) {
      t_.template load_matrix<false>(a, from, (t_.warp() * 16 + t_.lane() % 16) * row + step * 16 + t_.lane() / 16 * 8);
    }
    /// out += left right^T; columns of `out` are the rows of `right` from `first` on. get(a, step) gives the left operand.
    template <int Tiles, class Get> SFUMATO_DEVICE void multiply_transposed(Scores<Tiles>& out, const Get& get, const Shared& right, int first) {
      SFUMATO_DEVICE_UNROLL
      for (int step = 0; step < Steps; ++step) {
        Pair a[4];
        get(a, step);
        SFUMATO_DEVICE_UNROLL
        for (int tile = 0; tile < Tiles; tile += 2) {
          Pair b[4];
          t_.template load_matrix<false>(b, right, (first + tile * 8 + t_.lane() / 16 * 8 + t_.lane() % 8) * row + step * 16 + t_.lane() / 8 % 2 * 8);
          t_.mma(out.at[tile], a, b[0], b[1]);
          t_.mma(out.at[tile + 1], a, b[2], b[3]);
        }
      }
    }
    /// out += p right; columns of `p` are the rows of `right` from `first` on.
    template <int Tiles> SFUMATO_DEVICE void multiply(Output& out, const Scores<Tiles>& p, const Shared& right, int first) {
      SFUMATO_DEVICE_UNROLL
      for (int tile = 0; tile < Tiles; tile += 2) {
        const auto &one = p.at[tile].values, &two = p.at[tile + 1].values;
        const Pair a[4] = {pair(one[0], one[1]), pair(one[2], one[3]), pair(two[0], two[1]), pair(two[2], two[3])};
        SFUMATO_DEVICE_UNROLL
        for (int step = 0; step < Steps; ++step) {
          Pair b[4];
          t_.template load_matrix<true>(b, right, (first + tile * 8 + t_.lane() % 16) * row + step * 16 + t_.lane() / 16 * 8);
          t_.mma(out.at[2 * step], a, b[0], b[1]);
          t_.mma(out.at[2 * step + 1], a, b[2], b[3]);
        }
      }
    }
    /// Stores rows [first, count) of an output.
    SFUMATO_DEVICE void store(const Output& out, bf16* to, Index stride, Index first, Index count, bool accumulate) const {
      SFUMATO_DEVICE_UNROLL
      for (int tile = 0; tile < 2 * Steps; ++tile)
        SFUMATO_DEVICE_UNROLL
        for (int i = 0; i < 2; ++i) {
          const Index r = first + my_row() + 8 * i, column = tile * 8 + my_column();
          if (r < count && column < head_dim_)
            store_as<2>(to + r * stride + column, Pack<float, 2>{{out.at[tile].values[2 * i], out.at[tile].values[2 * i + 1]}}, accumulate);
        }
    }

   private:
    Thread& t_;
    Index head_dim_;
  };
};

inline constexpr double log2_e = 1.44269504088896340736;

template <int Steps> struct MmaAttention {
  static constexpr const char* name = "attention_mma";
  using Tile = MmaTile<Steps>;
  static constexpr int threads = Tile::threads, buffers = 3;
  AttentionGrid grid;
  AttentionShape s;
  const bf16 *q, *k, *v;
  bf16* out;
  float* lse;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    constexpr int tiles = Tile::size / 8;
    const auto at = grid.place(t.block(), s.heads);
    const Index head = at.head * s.head_dim, first = at.tile * Tile::size;
    const bf16 *const keys = k + at.sample * s.k_batch + head, *const values = v + at.sample * s.v_batch + head;
    typename Tile::template Block<Thread> block(t, s.head_dim);
    const auto q_tile = block.take(), k_tile = block.take(), v_tile = block.take();
    block.load(q_tile, {q + at.sample * s.q_batch + head, s.q_row, first, s.queries});
    block.load(k_tile, {keys, s.k_row, 0, s.keys});
    block.wait();
    Pair queries[Steps][4];
    SFUMATO_DEVICE_UNROLL
    for (int step = 0; step < Steps; ++step) block.left(queries[step], q_tile, step);

    typename Tile::Output result;
    float largest[2] = {-std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}, sum[2] = {};
    const auto scale = static_cast<float>(s.scale * log2_e);
    for (Index key = 0; key < s.keys; key += Tile::size) {
      block.load(v_tile, {values, s.v_row, key, s.keys});
      typename Tile::template Scores<tiles> p;
      block.multiply_transposed(p, [&](Pair(&a)[4], int step) { for (int i = 0; i < 4; ++i) a[i] = queries[step][i]; }, k_tile, 0);
      block.wait();  // the values are there, and nobody reads these keys any more
      if (key + Tile::size < s.keys) block.load(k_tile, {keys, s.k_row, key + Tile::size, s.keys});
      SFUMATO_DEVICE_UNROLL
      for (int i = 0; i < 2; ++i) {
        float m = largest[i];
        SFUMATO_DEVICE_UNROLL
        for (int tile = 0; tile < tiles; ++tile)
          for (int j = 0; j < 2; ++j) {
            float& score = p.at[tile].values[2 * i + j];
            score = key + tile * 8 + block.my_column() + j < s.keys ? score * scale : -std::numeric_limits<float>::infinity();
            m = score > m ? score : m;
          }
        m = group_max(t, m, 4);
        const float shrink = std::exp2(largest[i] - m);
        largest[i] = m;
        float part = 0;
        SFUMATO_DEVICE_UNROLL
        for (int tile = 0; tile < tiles; ++tile)
          for (int j = 0; j < 2; ++j) {
            float& score = p.at[tile].values[2 * i + j];
            part += score = std::exp2(score - m);
          }
        sum[i] = sum[i] * shrink + group_sum(t, part, 4);
        SFUMATO_DEVICE_UNROLL
        for (int tile = 0; tile < 2 * Steps; ++tile)
          for (int j = 0; j < 2; ++j) result.at[tile].values[2 * i + j] *= shrink;
      }
      block.multiply(result, p, v_tile, 0);
      block.wait();  // the next keys are there, and nobody reads these values any more
    }
    SFUMATO_DEVICE_UNROLL
    for (int i = 0; i < 2; ++i) {
      const float factor = 1 / sum[i];
      SFUMATO_DEVICE_UNROLL
      for (int tile = 0; tile < 2 * Steps; ++tile)
        for (int j = 0; j < 2; ++j) result.at[tile].values[2 * i + j] *= factor;
      const Index row = first + block.my_row() + 8 * i;
      if (lse != nullptr && block.my_column() == 0 && row < s.queries)
        lse[(at.sample * s.heads + at.head) * s.queries + row] = (largest[i] + std::log2(sum[i])) * static_cast<float>(1 / log2_e);
    }
    block.store(result, out + at.sample * s.o_batch + head, s.o_row, first, s.queries, false);
  }
};

/// d_v = P^T d_out and d_k = d_S^T q, by tiles of keys, which are the rows here.
template <int Steps> struct MmaAttentionKeyGradients {
  static constexpr const char* name = "attention_mma_backward_keys";
  using Tile = MmaTile<Steps>;
  static constexpr int threads = Tile::threads, buffers = 4;
  AttentionGrid grid;
  AttentionShape s;
  const bf16 *d_out, *q, *k, *v;
  const float *lse, *dot;
  bf16 *d_k, *d_v;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    constexpr int tiles = 4, part = 8 * tiles;  // queries at once
    const auto at = grid.place(t.block(), s.heads);
    const Index head = at.head * s.head_dim, first = at.tile * Tile::size, kept = (at.sample * s.heads + at.head) * s.queries;
    typename Tile::template Block<Thread> block(t, s.head_dim);
    const auto k_tile = block.take(), v_tile = block.take(), q_tile = block.take(), d_tile = block.take();
    block.load(k_tile, {k + at.sample * s.k_batch + head, s.k_row, first, s.keys});
    block.load(v_tile, {v + at.sample * s.v_batch + head, s.v_row, first, s.keys});
    typename Tile::Output key_gradient, value_gradient;
    const auto scale = static_cast<float>(s.scale);
    for (Index query = 0; query < s.queries; query += Tile::size) {
      block.load(q_tile, {q + at.sample * s.q_batch + head, s.q_row, query, s.queries});
      block.load(d_tile, {d_out + at.sample * s.o_batch + head, s.o_row, query, s.queries});
      block.wait();
      for (int begin = 0; begin < Tile::size; begin += part) {
        typename Tile::template Scores<tiles> p, d_p;
        block.multiply_transposed(p, [&](Pair(&a)[4], int step) { block.left(a, k_tile, step); }, q_tile, begin);
        block.multiply_transposed(d_p, [&](Pair(&a)[4], int step) { block.left(a, v_tile, step); }, d_tile, begin);
        SFUMATO_DEVICE_UNROLL
        for (int tile = 0; tile < tiles; ++tile)
          for (int j = 0; j < 2; ++j) {
            const Index column = query + begin + tile * 8 + block.my_column() + j;
            const bool inside = column < s.queries;
            const float log_sum = inside ? lse[kept + column] : 0, subtract = inside ? dot[kept + column] : 0;
            for (int i = 0; i < 2; ++i) {
              float &probability = p.at[tile].values[2 * i + j], &d = d_p.at[tile].values[2 * i + j];
              probability = inside ? std::exp2((probability * scale - log_sum) * static_cast<float>(log2_e)) : 0;
              d = scale * probability * (d - subtract);
            }
          }
        block.multiply(value_gradient, p, d_tile, begin);
        block.multiply(key_gradient, d_p, q_tile, begin);
      }
      t.sync();
    }
    block.store(key_gradient, d_k + at.sample * s.k_batch + head, s.k_row, first, s.keys, accumulate != 0);
    block.store(value_gradient, d_v + at.sample * s.v_batch + head, s.v_row, first, s.keys, accumulate != 0);
  }
};

/// d_q = d_S k, by tiles of queries.
template <int Steps> struct MmaAttentionQueryGradients {
  static constexpr const char* name = "attention_mma_backward_queries";
  using Tile = MmaTile<Steps>;
  static constexpr int threads = Tile::threads, buffers = 4;
  AttentionGrid grid;
  AttentionShape s;
  const bf16 *d_out, *q, *k, *v;
  const float *lse, *dot;
  bf16* d_q;
  Index accumulate;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    constexpr int tiles = 4, part = 8 * tiles;  // keys at once
    const auto at = grid.place(t.block(), s.heads);
    const Index head = at.head * s.head_dim, first = at.tile * Tile::size, kept = (at.sample * s.heads + at.head) * s.queries;
    typename Tile::template Block<Thread> block(t, s.head_dim);
    const auto q_tile = block.take(), d_tile = block.take(), k_tile = block.take(), v_tile = block.take();
    block.load(q_tile, {q + at.sample * s.q_batch + head, s.q_row, first, s.queries});
    block.load(d_tile, {d_out + at.sample * s.o_batch + head, s.o_row, first, s.queries});
    typename Tile::Output gradient;
    const auto scale = static_cast<float>(s.scale);
    float log_sum[2], subtract[2];
    for (int i = 0; i < 2; ++i) {
      const Index row = first + block.my_row() + 8 * i;
      log_sum[i] = row < s.queries ? lse[kept + row] : 0;
      subtract[i] = row < s.queries ? dot[kept + row] : 0;
    }
    for (Index key = 0; key < s.keys; key += Tile::size) {
      block.load(k_tile, {k + at.sample * s.k_batch + head, s.k_row, key, s.keys});
      block.load(v_tile, {v + at.sample * s.v_batch + head, s.v_row, key, s.keys});
      block.wait();
      for (int begin = 0; begin < Tile::size; begin += part) {
        typename Tile::template Scores<tiles> p, d_p;
        block.multiply_transposed(p, [&](Pair(&a)[4], int step) { block.left(a, q_tile, step); }, k_tile, begin);
        block.multiply_transposed(d_p, [&](Pair(&a)[4], int step) { block.left(a, d_tile, step); }, v_tile, begin);
        SFUMATO_DEVICE_UNROLL
        for (int tile = 0; tile < tiles; ++tile)
          for (int j = 0; j < 2; ++j) {
            const bool inside = key + begin + tile * 8 + block.my_column() + j < s.keys;
            for (int i = 0; i < 2; ++i) {
              float& d = d_p.at[tile].values[2 * i + j];
              const float probability = inside ? std::exp2((p.at[tile].values[2 * i + j] * scale - log_sum[i]) * static_cast<float>(log2_e)) : 0;
              d = scale * probability * (d - subtract[i]);
            }
          }
        block.multiply(gradient, d_p, k_tile, begin);
      }
      t.sync();
    }
    block.store(gradient, d_q + at.sample * s.q_batch + head, s.q_row, first, s.queries, accumulate != 0);
  }
};

/// Attention: on tensor cores for bf16 where heads are up to 128 wide and rows aligned to 16 bytes, else by plain arithmetic.
struct AttentionKernels {
  template <class T, class Api>
  static void attention(BasicCuda<Api>& b, const AttentionShape& s, const T* q, const T* k, const T* v, T* out, Nullable<compute_t<T>> lse) {
    if constexpr (std::is_same_v<T, bf16>)
      if (on_tensor_cores(s, q, k, v, out))
        return by_width(s.head_dim, [&]<int Steps>(std::integral_constant<int, Steps>) {
          launch<Steps>(b, s, s.queries, [&](const AttentionGrid& grid) { return MmaAttention<Steps>{grid, s, q, k, v, out, lse}; });
        });
    TiledAttention::attention(b, s, q, k, v, out, lse);
  }
  template <class T, class Api>
  static void attention_backward(BasicCuda<Api>& b, const AttentionShape& s, const T* d_out, const T* q, const T* k, const T* v, const T* out,
                                 const compute_t<T>* lse, T* d_q, T* d_k, T* d_v, bool accumulate) {
    const Index rows = s.batch * s.heads * s.queries;
    auto* const dot = b.template scratch<compute_t<T>>(rows);
    b.launch(grid_of_warps(rows), AttentionDot<T>{s, d_out, out, dot});
    if constexpr (std::is_same_v<T, bf16>)
      if (on_tensor_cores(s, q, k, v, d_out, d_q, d_k, d_v))
        return by_width(s.head_dim, [&]<int Steps>(std::integral_constant<int, Steps>) {
          launch<Steps>(b, s, s.keys, [&](const AttentionGrid& grid) { return MmaAttentionKeyGradients<Steps>{grid, s, d_out, q, k, v, lse, dot, d_k, d_v, accumulate}; });
          launch<Steps>(b, s, s.queries, [&](const AttentionGrid& grid) { return MmaAttentionQueryGradients<Steps>{grid, s, d_out, q, k, v, lse, dot, d_q, accumulate}; });
        });
    TiledAttention::gradients(b, s, d_out, q, k, v, lse, dot, d_q, d_k, d_v, accumulate);
  }

 private:
  template <class... P> static bool on_tensor_cores(const AttentionShape& s, const P*... pointers) {
    const auto whole = [](auto... n) { return ((n % 8 == 0) && ...); };
    return s.head_dim <= 128 && whole(s.head_dim, s.q_batch, s.q_row, s.k_batch, s.k_row, s.v_batch, s.v_row, s.o_batch, s.o_row) && aligned(pointers...);
  }
  /// Widths of the published models: 32, 64, 72 and 80, 104, 128.
  template <class F> static void by_width(Index head_dim, const F& f) {
    if (head_dim <= 32) f(std::integral_constant<int, 2>{});
    else if (head_dim <= 64) f(std::integral_constant<int, 4>{});
    else if (head_dim <= 80) f(std::integral_constant<int, 5>{});
    else if (head_dim <= 112) f(std::integral_constant<int, 7>{});
    else f(std::integral_constant<int, 8>{});
  }
  template <int Steps, class Api, class Make> static void launch(BasicCuda<Api>& b, const AttentionShape& s, Index rows, const Make& make) {
    using Kernel = decltype(make(AttentionGrid{}));
    const AttentionGrid grid{(rows + Kernel::Tile::size - 1) / Kernel::Tile::size, 1};
    b.launch({.x = grid.tiles * s.heads * s.batch, .shared_bytes = Kernel::buffers * Kernel::Tile::bytes}, make(grid));
  }
};

}  // namespace backend::cuda
SFUMATO_END
