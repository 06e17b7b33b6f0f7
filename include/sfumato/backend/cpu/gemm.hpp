// Matrix products on the CPU: packed panels and register tiles (Goto and van de Geijn 2008; BLIS).
//
// Each thread takes a rectangle of C and runs the whole loop nest on it with its own packed panels: nothing is shared,
// nothing waits. The price is that panels are packed once per rectangle, which costs about 5 of 32 multiply-adds per
// element packed: 1 % for rectangles 500 wide. Where C is one column panel, A is read as it lies.
//
// The depth is cut into blocks of `depth_block` whatever the shape, and each element of C is a chain over k inside a
// block, then a sum over the blocks in order: the same bits for any number of threads, batch split or row position.
#pragma once

#include <sfumato/backend/cpu/context.hpp>
#include <sfumato/backend/reference/pointwise.hpp>

#include <cmath>
#include <cstdint>
#include <type_traits>

SFUMATO_BEGIN
namespace backend::cpu {

inline constexpr Index depth_block = 384;  // a column panel of 32 fits the first-level cache's 48 KiB
inline constexpr Index row_block = 192;    // with depth_block 288 KiB, inside the second-level cache
inline constexpr Index col_block = 1024;   // with depth_block 1.5 MiB: second- to third-level cache

constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
constexpr Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }

/// Floats for `rows` x `depth` packed as row panels, or `depth` x `cols` as column panels.
inline Index packed_a_size(const SimdTable& simd, Index rows, Index depth) {
  return ceil_div(rows, simd.tile_rows) * (depth * simd.tile_rows + simd.lanes);
}
inline Index packed_b_size(Index tile_cols, Index depth, Index cols) { return depth * round_up(cols, tile_cols); }

/// What the loop nest needs to know about element type T: it computes in C = compute_t<T>.
template <class T> struct GemmType {
  using C = compute_t<T>;

  static Index tile_cols(const SimdTable& simd) {
    return std::is_same_v<C, double> ? simd.tile_cols_f64 : simd.tile_cols;
  }

  static void pack_a(const SimdTable& simd, Index rows, Index depth, const T* a, Index row, Index col, C* out) {
    if constexpr (std::is_same_v<T, float>) {
      simd.pack_a(rows, depth, a, row, col, out);
    } else {
      for (Index i = 0; i < rows; i += simd.tile_rows) {
        const Index count = std::min(simd.tile_rows, rows - i);
        C* const panel = out + i / simd.tile_rows * (depth * simd.tile_rows + simd.lanes);
        for (Index k = 0; k < depth; ++k)
          for (Index r = 0; r < count; ++r) panel[k * count + r] = static_cast<C>(a[(i + r) * row + k * col]);
      }
    }
  }

  static void pack_b(const SimdTable& simd, Index depth, Index cols, const T* b, Index row, Index col, C* out) {
    if constexpr (std::is_same_v<T, float>) {
      simd.pack_b(depth, cols, b, row, col, out);
    } else {
      const Index width = tile_cols(simd);
      for (Index j = 0; j < cols; j += width, out += depth * width)
        for (Index k = 0; k < depth; ++k)
          for (Index c = 0; c < width; ++c)
            out[k * width + c] = j + c < cols ? static_cast<C>(b[k * row + (j + c) * col]) : C(0);
    }
  }

  static void multiply(const SimdTable& simd, Index rows, Index cols, Index depth, const C* a, const C* b, C* c,
                       Index c_row, bool add) {
    if constexpr (std::is_same_v<C, double>)
      simd.multiply_panels_f64(rows, cols, depth, a, b, c, c_row, add);
    else
      simd.multiply_panels(rows, cols, depth, a, b, c, c_row, add);
  }

  /// How many of `rows` rows are best multiplied as they lie, by multiply_rows: whole tiles, where what is packed of them would be used once. Rows
  /// a multiple of 4096 bytes apart would share one set of the first-level cache.
  static Index unpacked(const SimdTable& simd, Index rows, Index cols, Index a_row, Index a_col) {
    return std::is_same_v<T, float> && a_col == 1 && a_row % 1024 != 0 && cols <= simd.tile_cols ? rows / simd.tile_rows * simd.tile_rows : 0;
  }

  static void finish(const SimdTable& simd, Index rows, Index cols, C* c, Index c_row, const C* bias,
                     Activation activation) {
    if constexpr (std::is_same_v<C, float>) {
      simd.finish_tile(rows, cols, c, c_row, bias, activation);
    } else {
      for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < cols; ++j)
          c[i * c_row + j] = activate(activation, c[i * c_row + j] + (bias != nullptr ? bias[j] : 0));
    }
  }
};

/// A rectangle of C: rows x cols at c, from operands at a and b with the strides of `shape`.
template <class T> struct GemmBlock {
  Index rows, cols;
  const T *a, *b;
  T* c;
  const T* bias;
};

/// Few rows use a packed column panel only a few times: then it had better still be in the nearest cache.
inline Index block_columns(const SimdTable& simd, Index rows) { return rows <= 4 * simd.tile_rows ? 128 : col_block; }

/// The scratch arrays of one thread, sized for the rectangles of one call.
template <class T> struct GemmScratch {
  using C = compute_t<T>;
  C *a, *b, *c, *bias;

  GemmScratch(Carver& carver, const SimdTable& simd, Index rows, Index cols, Index depth) {
    const Index k = std::min(depth, depth_block);
    a = carver.take<C>(packed_a_size(simd, std::min(rows, row_block), k));
    b = carver.take<C>(packed_b_size(GemmType<T>::tile_cols(simd), k, std::min(cols, block_columns(simd, rows))));
    constexpr bool converts = !std::is_same_v<T, C>;
    c = carver.take<C>(converts ? rows * cols : 0);
    bias = carver.take<C>(converts ? cols : 0);
  }
};

/// The loop nest: columns, depth, rows; then the panels inside the micro-kernels.
template <class T> void multiply_block(const SimdTable& simd, const MatmulShape& s, const GemmBlock<T>& block,
                                       GemmScratch<T>& scratch, bool accumulate, Activation activation) {
  using Type = GemmType<T>;
  using C = compute_t<T>;
  constexpr bool converts = !std::is_same_v<T, C>;
  C* c = nullptr;
  const C* bias = nullptr;
  if constexpr (converts) {  // C's rectangle in compute precision
    c = scratch.c;
    for (Index i = 0; accumulate && i < block.rows; ++i)
      for (Index j = 0; j < block.cols; ++j) c[i * block.cols + j] = static_cast<C>(block.c[i * s.c_row + j]);
    if (block.bias != nullptr) {
      for (Index j = 0; j < block.cols; ++j) scratch.bias[j] = static_cast<C>(block.bias[j]);
      bias = scratch.bias;
    }
  } else {
    c = block.c;
    bias = block.bias;
  }
  const Index c_row = converts ? block.cols : s.c_row, col_step = block_columns(simd, block.rows);
  // Blocks of equal height, in whole tiles.
  const Index row_step = round_up(ceil_div(block.rows, ceil_div(block.rows, row_block)), simd.tile_rows);
  const bool finishes = bias != nullptr || activation != Activation::none;
  for (Index j = 0; j < block.cols; j += col_step) {
    const Index cols = std::min(col_step, block.cols - j);
    for (Index k = 0; k < s.k; k += depth_block) {
      const Index depth = std::min(depth_block, s.k - k);
      Type::pack_b(simd, depth, cols, block.b + k * s.b_row + j * s.b_col, s.b_row, s.b_col, scratch.b);
      for (Index i = 0; i < block.rows; i += row_step) {
        const Index rows = std::min(row_step, block.rows - i), in_place = Type::unpacked(simd, rows, block.cols, s.a_row, s.a_col);
        const T* const a = block.a + i * s.a_row + k * s.a_col;
        const bool add = accumulate || k > 0;
        if constexpr (std::is_same_v<T, float>)
          simd.multiply_rows(in_place, cols, depth, a, s.a_row, scratch.b, c + i * c_row, c_row, add);
        if (in_place < rows) {
          Type::pack_a(simd, rows - in_place, depth, a + in_place * s.a_row, s.a_row, s.a_col, scratch.a);
          Type::multiply(simd, rows - in_place, cols, depth, scratch.a, scratch.b, c + (i + in_place) * c_row + j, c_row, add);
        }
        if (finishes && k + depth == s.k)
          Type::finish(simd, rows, cols, c + i * c_row + j, c_row, bias != nullptr ? bias + j : nullptr, activation);
      }
    }
  }
  if constexpr (converts)
    for (Index i = 0; i < block.rows; ++i)
      for (Index j = 0; j < block.cols; ++j) block.c[i * s.c_row + j] = static_cast<T>(c[i * block.cols + j]);
}

/// How C is cut: `row_parts` x `col_parts` rectangles of row_size x col_size.
struct GemmPartition {
  Index row_parts = 1, col_parts = 1, row_size = 0, col_size = 0;

  Index row_begin(Index part) const { return part * row_size; }
  Index col_begin(Index part) const { return part * col_size; }
};

/// The partition of an m x n product for `parts` threads with the least time of the slowest, packing included.
inline GemmPartition partition(const SimdTable& simd, Index tile_cols, Index m, Index n, Index parts) {
  GemmPartition best;
  double best_time = 0;
  for (Index rows = 1; rows <= parts; ++rows) {
    GemmPartition p;
    p.row_size = round_up(ceil_div(m, rows), simd.tile_rows);
    p.col_size = round_up(ceil_div(n, ceil_div(parts, rows)), tile_cols);
    p.row_parts = ceil_div(m, p.row_size);
    p.col_parts = ceil_div(n, p.col_size);
    const auto height = static_cast<double>(std::min(p.row_size, m)),
               width = static_cast<double>(std::min(p.col_size, n));
    const double packing = 5;  // one element packed, in multiply-adds of one element
    const double time =
        (height * width + packing * (height + width)) * static_cast<double>(ceil_div(p.row_parts * p.col_parts, parts));
    if (best.row_size == 0 || time < best_time) {
      best = p;
      best_time = time;
    }
  }
  return best;
}

/// One matrix where the batch is only more rows: a shared right operand and rows at one stride throughout.
inline MatmulShape fold_batch(MatmulShape s) {
  if (s.batch > 1 && s.b_batch == 0 && s.a_batch == s.m * s.a_row && s.c_batch == s.m * s.c_row) {
    s.m *= s.batch;
    s.batch = 1;
  }
  return s;
}

struct Gemm {
  template <class T> static void matmul(Cpu& backend, const MatmulShape& shape, const T* a, const T* b, T* c,
                                        bool accumulate, reference::Nullable<const T> bias, Activation activation) {
    const MatmulShape s = fold_batch(shape);
    if (s.m <= 0 || s.n <= 0 || s.batch <= 0) return;
    if (s.k <= 0) return without_depth(backend, s, c, accumulate, bias, activation);
    const SimdTable& simd = backend.simd();
    const Index threads = useful_threads(backend, s), tile_cols = GemmType<T>::tile_cols(simd);
    GemmPartition p = partition(simd, tile_cols, s.m, s.n, ceil_div(threads, s.batch));
    if constexpr (!std::is_same_v<T, compute_t<T>>) {  // the rectangle in compute precision should stay in the cache
      p.row_size = std::min(p.row_size, row_block);
      p.col_size = std::min(p.col_size, col_block / 2);
      p.row_parts = ceil_div(s.m, p.row_size);
      p.col_parts = ceil_div(s.n, p.col_size);
    }
    const auto scratch = [&](std::byte* memory, std::size_t* bytes) {
      Carver carver(memory);
      const Index rows = std::min(p.row_size, s.m), cols = std::min(p.col_size, s.n);
      GemmScratch<T> result(carver, simd, rows, cols, s.k);
      if (bytes != nullptr) *bytes = carver.bytes();
      return result;
    };
    std::size_t bytes = 0;
    scratch(nullptr, &bytes);
    backend.reserve_scratch(bytes);
    const Index per_matrix = p.row_parts * p.col_parts;
    parallel_for(static_cast<int>(threads), s.batch * per_matrix, 1, [&](Index begin, Index end, int thread) {
      GemmScratch<T> memory = scratch(backend.scratch(thread), nullptr);
      for (Index task = begin; task < end; ++task) {
        const Index matrix = task / per_matrix, part = task % per_matrix;
        const Index i = p.row_begin(part % p.row_parts), j = p.col_begin(part / p.row_parts);
        const GemmBlock<T> block{std::min(p.row_size, s.m - i),
                                 std::min(p.col_size, s.n - j),
                                 a + matrix * s.a_batch + i * s.a_row,
                                 b + matrix * s.b_batch + j * s.b_col,
                                 c + matrix * s.c_batch + i * s.c_row + j,
                                 bias != nullptr ? bias + j : nullptr};
        multiply_block<T>(simd, s, block, memory, accumulate, activation);
      }
    });
  }

 private:
  /// As many threads as have a few microseconds of work each.
  static Index useful_threads(const Cpu& backend, const MatmulShape& s) {
    const double work =
        static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) * static_cast<double>(s.batch);
    return static_cast<Index>(std::clamp(work / 250e3, 1.0, static_cast<double>(backend.threads())));
  }

  /// An empty sum: activation(bias), or nothing to add.
  template <class T>
  static void without_depth(Cpu&, const MatmulShape& s, T* c, bool accumulate, const T* bias, Activation activation) {
    for (Index batch = 0; !accumulate && batch < s.batch; ++batch)
      for (Index i = 0; i < s.m; ++i)
        for (Index j = 0; j < s.n; ++j)
          c[batch * s.c_batch + i * s.c_row + j] =
              static_cast<T>(activate(activation, reference::value_or(bias, j, 0)));
  }
};

}  // namespace backend::cpu
SFUMATO_END
