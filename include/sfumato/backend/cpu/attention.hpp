// Attention on the CPU: per head, products of packed panels around a vectorised softmax over one tile of scores.
//
// A tile is a block of queries times a block of keys, at most `score_tile` floats; over several blocks of keys the
// softmax is continued online (Milakov and Gimelshein 2018; Dao et al. 2022). Block sizes follow from the shape alone,
// and each head is one thread's, so results do not depend on the number of threads.
#pragma once

#include <sfumato/backend/cpu/gemm.hpp>
#include <sfumato/backend/reference/reference.hpp>

SFUMATO_BEGIN
namespace backend::cpu {

inline constexpr Index score_tile = 65536;  // floats: 256 KiB of the second-level cache
inline constexpr Index key_block = 384;

/// The block sizes of one attention, and what packed operands of one head take.
struct AttentionBlocks {
  const SimdTable& simd;
  Index queries, keys, width;  // of one head
  Index query_step, key_step;

  AttentionBlocks(const SimdTable& table, const AttentionShape& s, Index tile)
      : simd(table), queries(s.queries), keys(s.keys), width(s.head_dim) {
    key_step = std::min(keys, key_block);
    const Index most = std::max<Index>(1, tile / std::max<Index>(key_step, 1) / simd.tile_rows) * simd.tile_rows;
    query_step = std::min(queries, round_up(ceil_div(queries, ceil_div(queries, most)), simd.tile_rows));
  }

  /// Left operands: rows of queries or of keys.
  Index packed_a(Index rows, Index depth) const { return packed_a_size(simd, rows, depth); }
  /// k^T or v^T: columns are keys. Blocks of keys follow each other.
  Index packed_transposed() const { return packed_b_size(simd.tile_cols, width, key_step) * ceil_div(keys, key_block); }
  Index transposed_block(Index key) const { return key / key_block * packed_b_size(simd.tile_cols, width, key_step); }
  /// k or v as right operand: rows are keys.
  Index packed_plain(Index rows) const { return packed_b_size(simd.tile_cols, rows, width); }
  Index plain_block(Index key) const { return packed_plain(key); }
};

struct AttentionForwardScratch {
  float *k_transposed, *v, *q, *scores, *p, *maximum, *sum, *rescale;

  AttentionForwardScratch(Carver& carver, const AttentionBlocks& b) {
    k_transposed = carver.take<float>(b.packed_transposed());
    v = carver.take<float>(b.packed_plain(b.keys));
    q = carver.take<float>(b.packed_a(b.query_step, b.width));
    scores = carver.take<float>(b.query_step * b.key_step);
    p = carver.take<float>(b.packed_a(b.query_step, b.key_step));
    maximum = carver.take<float>(b.query_step);
    sum = carver.take<float>(b.query_step);
    rescale = carver.take<float>(b.query_step);
  }
};

struct AttentionBackwardScratch {
  float *k_transposed, *v_transposed, *k;  // right operands, the whole head
  float *q_left, *d_out_left, *q, *d_out;  // a block of queries, left and right operands
  float *scores, *d_scores, *left, *dot;   // one tile, and whatever part of it is packed

  AttentionBackwardScratch(Carver& carver, const AttentionBlocks& b) {
    k_transposed = carver.take<float>(b.packed_transposed());
    v_transposed = carver.take<float>(b.packed_transposed());
    k = carver.take<float>(b.packed_plain(b.keys));
    q_left = carver.take<float>(b.packed_a(b.query_step, b.width));
    d_out_left = carver.take<float>(b.packed_a(b.query_step, b.width));
    q = carver.take<float>(b.packed_plain(b.query_step));
    d_out = carver.take<float>(b.packed_plain(b.query_step));
    scores = carver.take<float>(b.query_step * b.key_step);
    d_scores = carver.take<float>(b.query_step * b.key_step);
    left = carver.take<float>(std::max(b.packed_a(b.query_step, b.key_step), b.packed_a(b.key_step, b.query_step)));
    dot = carver.take<float>(b.query_step);
  }
};

/// One head's operands; rows have the strides of the shape.
template <class T> struct HeadPointers { const T *q, *k, *v; };

template <class T>
HeadPointers<T> head_pointers(const AttentionShape& s, Index task, const T* q, const T* k, const T* v) {
  const Index b = task / s.heads, offset = task % s.heads * s.head_dim;
  return {q + b * s.q_batch + offset, k + b * s.k_batch + offset, v + b * s.v_batch + offset};
}
inline Index out_offset(const AttentionShape& s, Index task) {
  return task / s.heads * s.o_batch + task % s.heads * s.head_dim;
}

/// Queries [begin, end) of one head; k and v have been packed.
inline void attention_queries(const AttentionBlocks& b, const AttentionShape& s, const AttentionForwardScratch& w,
                              Index begin, Index end, const float* q, float* out, float* lse) {
  const SimdTable& simd = b.simd;
  for (Index i = begin; i < end; i += b.query_step) {
    const Index rows = std::min(b.query_step, end - i);
    simd.pack_a(rows, b.width, q + i * s.q_row, s.q_row, 1, w.q);
    for (Index j = 0; j < b.keys; j += key_block) {
      const Index keys = std::min(key_block, b.keys - j);
      simd.multiply_panels(rows, keys, b.width, w.q, w.k_transposed + b.transposed_block(j), w.scores, keys, false);
      simd.softmax_tile(rows, keys, w.scores, keys, static_cast<float>(s.scale), j == 0, w.maximum, w.sum, w.rescale);
      if (j > 0) simd.scale_rows(rows, b.width, w.rescale, out + i * s.o_row, s.o_row);
      simd.pack_a(rows, keys, w.scores, keys, 1, w.p);
      simd.multiply_panels(rows, b.width, keys, w.p, w.v + b.plain_block(j), out + i * s.o_row, s.o_row, j > 0);
    }
    for (Index r = 0; r < rows; ++r) {
      if (lse != nullptr) lse[i + r] = w.maximum[r] + std::log(w.sum[r]);
      w.rescale[r] = 1.0f / w.sum[r];
    }
    simd.scale_rows(rows, b.width, w.rescale, out + i * s.o_row, s.o_row);
  }
}

inline void pack_transposed_keys(const AttentionBlocks& b, const float* x, Index row, float* out) {
  for (Index j = 0; j < b.keys; j += key_block)
    b.simd.pack_b(b.width, std::min(key_block, b.keys - j), x + j * row, 1, row, out + b.transposed_block(j));
}
inline void pack_plain_keys(const AttentionBlocks& b, const float* x, Index row, float* out) {
  for (Index j = 0; j < b.keys; j += key_block)
    b.simd.pack_b(std::min(key_block, b.keys - j), b.width, x + j * row, row, 1, out + b.plain_block(j));
}

/// One head's gradients, from P = exp(scale q k^T - lse).
inline void attention_head_backward(const AttentionBlocks& b, const AttentionShape& s,
                                    const AttentionBackwardScratch& w, const HeadPointers<float>& x, const float* d_out,
                                    const float* out, const float* lse, float* d_q, float* d_k, float* d_v,
                                    bool accumulate) {
  const SimdTable& simd = b.simd;
  const Index width = b.width;
  pack_transposed_keys(b, x.k, s.k_row, w.k_transposed);
  pack_transposed_keys(b, x.v, s.v_row, w.v_transposed);
  pack_plain_keys(b, x.k, s.k_row, w.k);
  for (Index i = 0; i < b.queries; i += b.query_step) {
    const Index rows = std::min(b.query_step, b.queries - i);
    const float *const q = x.q + i * s.q_row, *const d_o = d_out + i * s.o_row;
    simd.row_dots(rows, width, d_o, s.o_row, out + i * s.o_row, s.o_row, w.dot);
    simd.pack_a(rows, width, q, s.q_row, 1, w.q_left);
    simd.pack_a(rows, width, d_o, s.o_row, 1, w.d_out_left);
    simd.pack_b(rows, width, q, s.q_row, 1, w.q);
    simd.pack_b(rows, width, d_o, s.o_row, 1, w.d_out);
    for (Index j = 0; j < b.keys; j += key_block) {
      const Index keys = std::min(key_block, b.keys - j);
      simd.multiply_panels(rows, keys, width, w.q_left, w.k_transposed + b.transposed_block(j), w.scores, keys, false);
      simd.multiply_panels(rows, keys, width, w.d_out_left, w.v_transposed + b.transposed_block(j), w.d_scores, keys,
                           false);
      simd.softmax_tile_backward(rows, keys, w.scores, w.d_scores, keys, static_cast<float>(s.scale), lse + i, w.dot);
      simd.pack_a(keys, rows, w.scores, 1, keys, w.left);
      simd.multiply_panels(keys, width, rows, w.left, w.d_out, d_v + j * s.v_row, s.v_row, accumulate || i > 0);
      simd.pack_a(keys, rows, w.d_scores, 1, keys, w.left);
      simd.multiply_panels(keys, width, rows, w.left, w.q, d_k + j * s.k_row, s.k_row, accumulate || i > 0);
      simd.pack_a(rows, keys, w.d_scores, keys, 1, w.left);
      simd.multiply_panels(rows, width, keys, w.left, w.k + b.plain_block(j), d_q + i * s.q_row, s.q_row,
                           accumulate || j > 0);
    }
  }
}

struct Attention {
  template <class T> static void attention(Cpu& backend, const AttentionShape& s, const T* q, const T* k, const T* v,
                                           T* out, reference::Nullable<compute_t<T>> lse) {
    if (s.queries <= 0 || s.keys <= 0) return;
    if constexpr (!std::is_same_v<T, float>) {
      head_by_head(
          backend, s,
          [&](const AttentionShape& one, Index task, const HeadPointers<T>& x, Reference& plain) {
            reference::Attention::attention(plain, one, x.q, x.k, x.v, out + out_offset(s, task),
                                            lse != nullptr ? lse + task * s.queries : nullptr);
          },
          q, k, v);
    } else {
      const AttentionBlocks blocks(backend.simd(), s, score_tile);
      Carver size;
      AttentionForwardScratch{size, blocks};
      backend.reserve_scratch(size.bytes());
      // Blocks of queries are handed out too where there are too few heads.
      const Index heads = s.batch * s.heads, steps = ceil_div(s.queries, blocks.query_step);
      const Index groups = std::min(steps, ceil_div(Index{backend.threads()}, heads));
      backend.parallel(heads * groups, work(s), [&](Index begin, Index end, int thread) {
        Carver carver(backend.scratch(thread));
        const AttentionForwardScratch scratch(carver, blocks);
        for (Index task = begin; task < end; ++task) {
          const Index head = task / groups, group = task % groups;
          const HeadPointers<float> x = head_pointers(s, head, q, k, v);
          pack_transposed_keys(blocks, x.k, s.k_row, scratch.k_transposed);
          pack_plain_keys(blocks, x.v, s.v_row, scratch.v);
          attention_queries(blocks, s, scratch, group * steps / groups * blocks.query_step,
                            std::min(s.queries, (group + 1) * steps / groups * blocks.query_step), x.q,
                            out + out_offset(s, head), lse != nullptr ? lse + head * s.queries : nullptr);
        }
      });
    }
  }

  template <class T> static void attention_backward(Cpu& backend, const AttentionShape& s, const T* d_out, const T* q,
                                                    const T* k, const T* v, const T* out, const compute_t<T>* lse, T* d_q,
                                                    T* d_k, T* d_v, bool accumulate) {
    if (s.queries <= 0 || s.keys <= 0) return;
    if constexpr (!std::is_same_v<T, float>) {
      head_by_head(
          backend, s,
          [&](const AttentionShape& one, Index task, const HeadPointers<T>& x, Reference& plain) {
            reference::Attention::attention_backward(plain, one, d_out + out_offset(s, task), x.q, x.k, x.v,
                                                     out + out_offset(s, task), lse + task * s.queries, d_q + (x.q - q),
                                                     d_k + (x.k - k), d_v + (x.v - v), accumulate);
          },
          q, k, v);
    } else {
      const AttentionBlocks blocks(backend.simd(), s, score_tile / 2);  // two tiles, and one of them packed
      Carver size;
      AttentionBackwardScratch{size, blocks};
      backend.reserve_scratch(size.bytes());
      backend.parallel(s.batch * s.heads, work(s), [&](Index begin, Index end, int thread) {
        Carver carver(backend.scratch(thread));
        const AttentionBackwardScratch scratch(carver, blocks);
        for (Index task = begin; task < end; ++task) {
          const HeadPointers<float> x = head_pointers(s, task, q, k, v);
          attention_head_backward(blocks, s, scratch, x, d_out + out_offset(s, task), out + out_offset(s, task),
                                  lse + task * s.queries, d_q + (x.q - q), d_k + (x.k - k), d_v + (x.v - v),
                                  accumulate);
        }
      });
    }
  }

 private:
  static Index work(const AttentionShape& s) { return s.batch * s.heads * s.queries * s.keys; }

  /// The reference's loops, heads in parallel.
  template <class T, class Body> static void head_by_head(Cpu& backend, const AttentionShape& s, const Body& body,
                                                          const T* q, const T* k, const T* v) {
    AttentionShape one = s;
    one.batch = one.heads = 1;
    backend.parallel(s.batch * s.heads, work(s) * s.head_dim, [&](Index begin, Index end, int) {
      Reference plain;
      for (Index task = begin; task < end; ++task) body(one, task, head_pointers(s, task, q, k, v), plain);
    });
  }
};

}  // namespace backend::cpu
SFUMATO_END
