// Sums over rows, in an order that depends on nothing but the shape.
#pragma once

#include <sfumato/backend/cuda/elementwise.hpp>

#include <cmath>

SFUMATO_BEGIN
namespace backend::cuda {

/// Sums over groups of rows: `term.add<V>(row, column, sums)` adds its `Term::count` terms of a row, `term.finish<V>(group,
/// column, sums)` takes the sums of rows [group * rows_per_group, ...). A block holds 32 V columns of one group.
template <class Term, int V> struct GroupSums {
  static constexpr const char* name = Term::name;
  static constexpr int threads = 256, warps = threads / warp_size, columns = warp_size * V;
  using S = typename Term::sum;
  Index rows, width, rows_per_group, blocks_per_group;
  Term term;

  template <class Thread> SFUMATO_DEVICE void operator()(Thread& t) const {
    const auto shared = t.template shared<S>(warps * Term::count * columns);
    const Index group = quotient(t.block(), blocks_per_group);
    const Index column = ((t.block() - group * blocks_per_group) * warp_size + t.lane()) * V;
    const Index begin = group * rows_per_group, end = begin + rows_per_group < rows ? begin + rows_per_group : rows;
    const bool inside = column < width;
    Pack<S, V> sums[Term::count] = {};
    if (inside)
      for (Index r = begin + t.warp(); r < end; r += warps) term.template add<V>(r, column, sums);
    for (int k = 0; k < Term::count; ++k) shared.template store<V>(((t.warp() * Term::count + k) * warp_size + t.lane()) * V, sums[k]);
    t.sync();
    if (t.warp() > 0 || !inside) return;
    for (int w = 1; w < warps; ++w)
      for (int k = 0; k < Term::count; ++k) {
        const auto others = shared.template load<V>(((w * Term::count + k) * warp_size + t.lane()) * V);
        for (int i = 0; i < V; ++i) sums[k][i] += others[i];
      }
    term.template finish<V>(group, column, sums);
  }
};

/// Plain sums of rows to `out` (groups, width).
template <class T, class Out> struct ColumnSum {
  static constexpr const char* name = "column_sum";
  static constexpr int count = 1;
  using sum = compute_t<T>;
  const T* x;
  Index width;
  Out* out;
  Index accumulate;

  template <int V> SFUMATO_DEVICE void add(Index row, Index column, Pack<sum, V> (&sums)[count]) const {
    const auto values = load_as<V, sum>(x + row * width + column);
    for (int i = 0; i < V; ++i) sums[0][i] += values[i];
  }
  template <int V> SFUMATO_DEVICE void finish(Index group, Index column, const Pack<sum, V> (&sums)[count]) const {
    store_as<V>(out + group * width + column, sums[0], accumulate != 0);
  }
};

/// Enough groups to fill a GPU, few enough to be summed by one block for their columns.
inline Index rows_per_group(Index rows) { return rows <= 512 ? rows : (rows + 255) / 256 > 64 ? (rows + 255) / 256 : 64; }
inline Index groups(Index rows) { return (rows + rows_per_group(rows) - 1) / rows_per_group(rows); }

template <class T, class Api, class Term>
void sum_groups(BasicCuda<Api>& b, Index rows, Index width, Index per_group, const Term& term, bool whole) {
  const auto launch = [&]<int V>(std::integral_constant<int, V>) {
    using Kernel = GroupSums<Term, V>;
    const Index blocks = (width + Kernel::columns - 1) / Kernel::columns;
    b.launch({.x = blocks * ((rows + per_group - 1) / per_group), .shared_bytes = Index{Kernel::warps} * Term::count * Kernel::columns * Index(sizeof(typename Term::sum))},
             Kernel{rows, width, per_group, blocks, term});
  };
  if (whole) launch(std::integral_constant<int, sizeof(T) == 8 ? 2 : 4>{});
  else launch(std::integral_constant<int, 1>{});
}
/// out += sums of the rows of x, by way of `partial` (groups(rows), cols).
template <class In, class T, class Api>
void add_column_sums(BasicCuda<Api>& b, Index rows, Index cols, const In* x, T* out, compute_t<In>* partial) {
  using S = compute_t<In>;
  const bool whole = cols % (16 / Index(sizeof(In) < sizeof(T) ? sizeof(In) : sizeof(T))) == 0 && aligned(x, out, partial);
  if (groups(rows) == 1) return sum_groups<In>(b, rows, cols, rows, ColumnSum<In, T>{x, cols, out, true}, whole);
  sum_groups<In>(b, rows, cols, rows_per_group(rows), ColumnSum<In, S>{x, cols, partial, false}, whole);
  sum_groups<S>(b, groups(rows), cols, groups(rows), ColumnSum<S, T>{partial, cols, out, true}, whole);
}

struct SumKernels {
  template <class T, class Api> static void column_sum(BasicCuda<Api>& b, Index rows, Index cols, const T* x, T* out) {
    add_column_sums(b, rows, cols, x, out, b.template scratch<compute_t<T>>(groups(rows) * cols));
  }
};

}  // namespace backend::cuda
SFUMATO_END
