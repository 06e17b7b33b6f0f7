// Everything that only moves, repeats or sums elements: one strided copy forward, the same copy with its sides
// exchanged backward.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/ops/elementwise.hpp>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct slice;
struct concat;
struct permute;
struct broadcast;
struct upsample;
struct reduce;
struct patchify;
struct parameter;
struct add_parameter;
struct add_value;
struct multiply_parameter;
}  // namespace name

/// Elements before, on and after an axis of a value: (outer, extent, inner).
template <IsShape S, int Axis> struct AxisSplit {
  static constexpr Index inner() {
    Index n = 1;
    for (int i = Axis + 1; i < S::rank; ++i) n *= S::extents[std::size_t(i)];
    return n;
  }
  static constexpr Index here = S::extents[Axis] == dynamic ? 1 : S::extents[Axis];
  static constexpr Index outer(Index size) { return size / (here * inner()); }
};

namespace detail {
/// How the elements of x reach y: loops with the strides of both sides, and where each side starts.
struct Move {
  CopyShape loops;
  Index x_start = 0, y_start = 0;
  constexpr Move& loop(Index extent, Index x_stride, Index y_stride) {
    loops.extent[loops.rank] = extent;
    loops.src_stride[loops.rank] = x_stride;
    loops.dst_stride[loops.rank++] = y_stride;
    return *this;
  }
};

constexpr CopyShape reversed(CopyShape s) {
  for (int i = 0; i < s.rank; ++i) {
    const Index t = s.src_stride[i];
    s.src_stride[i] = s.dst_stride[i];
    s.dst_stride[i] = t;
  }
  return s;
}

/// Which elements a move reaches: all of y exactly once, only some of x (a slice), or y is a sum.
enum class Coverage { whole, part_of_x, sums_into_y, repeats_x };

template <Coverage coverage, class Ctx, class X, class Y> void move(Ctx& ctx, const X& x, Y& y, const Move& m) {
  using K = kernels<Ctx>;
  using E = typename X::element;
  constexpr bool sums = coverage == Coverage::sums_into_y;
  if (sums) K::fill(ctx.device(), y.size(), 0.0, ctx.mutable_data(y));
  K::strided_copy(ctx.device(), m.loops, ctx.data(x) + m.x_start, ctx.mutable_data(y) + m.y_start, sums);
  if constexpr (Ctx::recording)
    ctx.record(y, ctx.flows(x), [slot = x.handle.slot, m](Ctx& c, const E* d_y) {
      constexpr bool adds = coverage == Coverage::part_of_x || coverage == Coverage::repeats_x;
      const auto [d_x, accumulate] = adds ? typename Ctx::template Into<E>{c.gradient_to_add(slot), true} : c.gradient(slot);
      K::strided_copy(c.device(), reversed(m.loops), d_y + m.y_start, d_x + m.x_start, accumulate);
    });
}

template <int... Order> constexpr bool names_each_axis() {
  std::array<int, sizeof...(Order) + 1> times{};
  ((Order >= 0 && Order < int(sizeof...(Order)) ? void(++times[std::size_t(Order)]) : void()), ...);
  return ((Order >= 0 && Order < int(sizeof...(Order)) && times[std::size_t(Order)] == 1) && ...);
}
}  // namespace detail

// These move wide values too.

/// x[..., Begin:End, ...] along a static axis.
template <int Axis, int Begin, int End, class Ctx, AnyValue X> constexpr auto slice(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  require_context<name::slice, Ctx, X>();
  require<rule::AxisInRank<name::slice, Axis, S::rank>, rule::SliceRange<name::slice, Begin, End, extent<S, Axis>>>();
  auto y = ctx.template make<replace_extent<S, Axis, End - Begin>, typename X::element>(x.batch);
  if constexpr (!Ctx::counting) {
    constexpr Index inner = AxisSplit<S, Axis>::inner();
    detail::Move m;
    m.x_start = Begin * inner;
    m.loop(AxisSplit<S, Axis>::outer(x.size()), extent<S, Axis> * inner, (End - Begin) * inner).loop((End - Begin) * inner, 1, 1);
    detail::move<detail::Coverage::part_of_x>(ctx, x, y, m);
  }
  return y;
}

/// x and y side by side along a static axis: `concat<axis::tokens>(ctx, context, patches)`.
template <int Axis, class Ctx, AnyValue X, AnyValue Y> constexpr auto concat(Ctx& ctx, const X& x, const Y& y) {
  using SX = typename X::shape;
  using SY = typename Y::shape;
  using E = typename X::element;
  require_context<name::concat, Ctx, X, Y>();
  require<rule::SameElement<name::concat, E, typename Y::element>, rule::AxisInRank<name::concat, Axis, SX::rank>>();
  require<rule::SameShape<name::concat, replace_extent<SX, Axis, 1>, replace_extent<SY, Axis, 1>>>();
  constexpr int nx = extent<SX, Axis>, ny = extent<SY, Axis>;
  require_same_batch("concat", x, y);
  auto z = ctx.template make<replace_extent<SX, Axis, nx + ny>, E>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    constexpr Index inner = AxisSplit<SX, Axis>::inner();
    const Index outer = AxisSplit<SX, Axis>::outer(x.size());
    const auto part = [outer](Index n, Index start) {
      detail::Move m;
      m.y_start = start * inner;
      return m.loop(outer, n * inner, (nx + ny) * inner).loop(n * inner, 1, 1);
    };
    const detail::Move from_x = part(nx, 0), from_y = part(ny, nx);
    K::strided_copy(ctx.device(), from_x.loops, ctx.data(x), ctx.mutable_data(z), false);
    K::strided_copy(ctx.device(), from_y.loops, ctx.data(y), ctx.mutable_data(z) + from_y.y_start, false);
    if constexpr (Ctx::recording)
      ctx.record(z, ctx.flows(x) || ctx.flows(y), [=, x_slot = x.handle.slot, y_slot = y.handle.slot](Ctx& c, const E* d_z) {
        const auto send = [&](const detail::Move& m, const auto& slot) {
          if (auto [d, accumulate] = c.gradient(slot); d)
            K::strided_copy(c.device(), detail::reversed(m.loops), d_z + m.y_start, d, accumulate);
        };
        send(from_x, x_slot);
        send(from_y, y_slot);
      });
  }
  return z;
}

/// Axes in a new order: `permute<0, 2, 1>`. A run-time batch must stay in front.
template <int... Order, class Ctx, AnyValue X> constexpr auto permute(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  require_context<name::permute, Ctx, X>();
  require<rule::PermutationRank<name::permute, int(sizeof...(Order)), S::rank>, rule::PermutationAxes<detail::names_each_axis<Order...>(), Order...>>();
  auto y = ctx.template make<permuted<S, Order...>, typename X::element>(x.batch);
  if constexpr (!Ctx::counting) {
    constexpr std::array<int, S::rank> order{Order...};
    Index x_stride[S::rank], y_stride[S::rank], stride = 1;
    for (int i = S::rank; i-- > 0; stride *= S::extents[std::size_t(i)]) x_stride[i] = stride;
    stride = 1;
    for (int i = S::rank; i-- > 0; stride *= S::extents[std::size_t(order[std::size_t(i)])]) y_stride[i] = stride;
    detail::Move m;
    for (int i = 0; i < S::rank; ++i) {
      const int axis = order[std::size_t(i)];
      const int n = S::extents[std::size_t(axis)];
      m.loop(n == dynamic ? x.batch : n, x_stride[axis], y_stride[i]);
    }
    detail::move<detail::Coverage::whole>(ctx, x, y, m);
  }
  return y;
}

/// Repeats every sample's elements `Times` along a new axis: (batch, a, b) to (batch, Times, a, b) for Axis 1.
template <int Axis, int Times, class Ctx, AnyValue X> constexpr auto broadcast(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  require_context<name::broadcast, Ctx, X>();
  require<rule::AxisInRank<name::broadcast, Axis, S::rank + 1>>();
  using Y = decltype([]<std::size_t... I>(std::index_sequence<I...>) {
    return Shape<(int(I) < Axis ? S::extents[I] : int(I) == Axis ? Times : S::extents[I - 1])...>{};
  }(std::make_index_sequence<S::rank + 1>{}));
  auto y = ctx.template make<Y, typename X::element>(x.batch);
  if constexpr (!Ctx::counting) {
    constexpr Index inner = AxisSplit<Y, Axis>::inner();
    detail::Move m;
    m.loop(x.size() / inner, inner, Times * inner).loop(Times, 0, inner).loop(inner, 1, 1);
    detail::move<detail::Coverage::repeats_x>(ctx, x, y, m);
  }
  return y;
}

/// Each place of a square grid `Factor` times as high and wide, all of its value: (batch, side^2, C) to (batch, (Factor side)^2, C).
template <int Factor, class Ctx, AnyValue X> constexpr auto upsample_nearest(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  constexpr int places = extent<S, 1>, side = square_side<places>, channels = width_of<S>;
  require_context<name::upsample, Ctx, X>();
  require<rule::BatchedRank<name::upsample, S, 3>, rule::SquarePlaces<places, side * side>, rule::PositiveFactor<Factor>>();
  auto y = ctx.template make<replace_extent<S, 1, places * Factor * Factor>, typename X::element>(x.batch);
  if constexpr (!Ctx::counting) {
    constexpr Index row = Index{side} * channels;
    detail::Move m;  // a row, its copies, a place, its copies
    m.loop(x.batch * side, row, Factor * Factor * row).loop(Factor, 0, Factor * row).loop(side, channels, Factor * channels).loop(Factor, 0, channels).loop(channels, 1, 1);
    detail::move<detail::Coverage::repeats_x>(ctx, x, y, m);
  }
  return y;
}

/// Sum over a static axis, which disappears.
template <int Axis, class Ctx, AnyValue X> constexpr auto sum(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  require_context<name::reduce, Ctx, X>();
  require<rule::AxisInRank<name::reduce, Axis, S::rank>, rule::StaticAxis<name::reduce, Axis, extent<S, Axis>>>();
  auto y = ctx.template make<erase_extent<S, Axis>, typename X::element>(x.batch);
  if constexpr (!Ctx::counting) {
    constexpr Index inner = AxisSplit<S, Axis>::inner();
    detail::Move m;
    m.loop(AxisSplit<S, Axis>::outer(x.size()), extent<S, Axis> * inner, inner).loop(extent<S, Axis>, inner, 0).loop(inner, 1, 1);
    detail::move<detail::Coverage::sums_into_y>(ctx, x, y, m);
  }
  return y;
}

/// Mean over a static axis, which disappears.
template <int Axis, class Ctx, AnyValue X> constexpr auto mean(Ctx& ctx, const X& x) {
  return scale(ctx, 1.0 / extent<typename X::shape, Axis>, sum<Axis>(ctx, x));
}

/// Sum over everything, a wide scalar.
template <class Ctx, AnyValue X> constexpr auto sum_all(Ctx& ctx, const X& values) {
  require_context<name::reduce, Ctx, X>();
  const auto x = widen(ctx, values);
  using W = typename Ctx::wide;
  auto y = ctx.template make<Shape<>, W>(1);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    constexpr Index row = X::shape::row;
    const auto sums = ctx.template scratch<W>(row);
    W* const by_place = static_cast<W*>(sums.data());
    K::fill(ctx.device(), row, 0.0, by_place);
    K::fill(ctx.device(), Index{1}, 0.0, ctx.mutable_data(y));
    K::column_sum(ctx.device(), x.size() / row, row, ctx.data(x), by_place);
    K::column_sum(ctx.device(), row, Index{1}, static_cast<const W*>(by_place), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot](Ctx& c, const W* d_y) {
        const auto [d_x, accumulate] = c.gradient(slot);
        K::strided_copy(c.device(), detail::Move{}.loop(slot.size(), 0, 1).loops, d_y, d_x, accumulate);
      });
  }
  return y;
}

/// Mean over everything, a wide scalar.
template <class Ctx, AnyValue X> constexpr auto mean_all(Ctx& ctx, const X& x) { return scale(ctx, 1.0 / double(x.size()), sum_all(ctx, x)); }

// From here on, values of the context's own elements alone.

namespace detail {
// Loops that lay a parameter of `size` elements `times` times side by side.
constexpr CopyShape repeat(Index times, Index size) { return Move{}.loop(times, 0, size).loop(size, 1, 1).loops; }

// y = x + copies of `size` elements of p, side by side.
template <class Ctx, class E> void add_repeated(Ctx& ctx, Index n, const E* x, Index size, const E* p, E* y) {
  using K = kernels<Ctx>;
  K::strided_copy(ctx.device(), Move{}.loop(n, 1, 1).loops, x, y, false);
  K::strided_copy(ctx.device(), repeat(n / size, size), p, y, true);
}

// `times` copies of a parameter side by side, in scratch memory.
template <class Ctx, IsParam P> auto repeated(Ctx& ctx, const P& p, Index times) {
  auto buffer = ctx.scratch(times * P::size);
  kernels<Ctx>::strided_copy(ctx.device(), repeat(times, P::size), ctx.weight(p), static_cast<typename Ctx::element*>(buffer.data()), false);
  return buffer;
}
}  // namespace detail

/// A parameter as a value, the same for every sample: `parameter<Shape<dynamic, 1, width>>(ctx, class_token, batch)`.
template <IsShape S, class Ctx, IsParam P> constexpr auto parameter(Ctx& ctx, const P& p, Index batch) {
  require<rule::SameSize<name::parameter, P::size, S::row>>();
  require_batch<S>(batch);
  auto y = ctx.template make<S>(batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    K::strided_copy(ctx.device(), detail::repeat(batch, P::size), ctx.weight(p), ctx.mutable_data(y), false);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(p), [p, batch](Ctx& c, const auto* d_y) { K::column_sum(c.device(), batch, P::size, d_y, c.parameter_gradient(p)); });
  }
  return y;
}

/// x + p for a parameter p of x's size per sample, e.g. a position embedding (1, tokens, width) on (batch, tokens, width), or of
/// x's last axis, e.g. a bias (width).
template <class Ctx, AnyValue X, IsParam P> constexpr auto add_parameter(Ctx& ctx, const X& x, const P& p) {
  require_operands<name::add_parameter, Ctx, X>();
  if constexpr (P::size != width_of<typename X::shape>) require<rule::SameSize<name::add_parameter, X::shape::row, P::size>>();
  auto y = ctx.template make<typename X::shape>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    const Index times = x.size() / P::size;
    detail::add_repeated(ctx, x.size(), ctx.data(x), P::size, ctx.weight(p), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(p), [slot = x.handle.slot, p, times](Ctx& c, auto& from) {
        if (E* d_p = c.parameter_gradient(p))
          K::column_sum(c.device(), times, P::size, static_cast<const E*>(from.data()), d_p);
        c.move_gradient(from, slot);
      });
  }
  return y;
}

/// x[b] + y for every sample: x (batch, ...), y (...) of x's shape without the batch.
template <class Ctx, AnyValue X, AnyValue Y> constexpr auto add_value(Ctx& ctx, const X& x, const Y& y) {
  require_operands<name::add_value, Ctx, X, Y>();
  require<rule::BatchedRank<name::add_value, typename X::shape, X::shape::rank>, rule::SameShape<name::add_value, typename Y::shape, erase_extent<typename X::shape, 0>>>();
  auto z = ctx.template make<typename X::shape>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    detail::add_repeated(ctx, x.size(), ctx.data(x), y.size(), ctx.data(y), ctx.mutable_data(z));
    if constexpr (Ctx::recording)
      ctx.record(z, ctx.flows(x) || ctx.flows(y), [x_slot = x.handle.slot, y_slot = y.handle.slot, batch = x.batch](Ctx& c, auto& slot) {
        if (E* const d_y = c.gradient_to_add(y_slot)) K::column_sum(c.device(), batch, Index{Y::shape::row}, static_cast<const E*>(slot.data()), d_y);
        c.move_gradient(slot, x_slot);
      });
  }
  return z;
}

/// x * p for a parameter p of x's last axis (width), e.g. LayerScale's, of x's size per sample, or of one element.
template <class Ctx, AnyValue X, IsParam P> constexpr auto multiply_parameter(Ctx& ctx, const X& x, const P& p) {
  require_operands<name::multiply_parameter, Ctx, X>();
  if constexpr (P::size != 1 && P::size != X::shape::row) require<rule::SameSize<name::multiply_parameter, width_of<typename X::shape>, P::size>>();
  auto y = ctx.template make<typename X::shape>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(x);
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    const Index times = x.size() / P::size;
    const auto factor = detail::repeated(ctx, p, times);
    K::multiply(ctx.device(), x.size(), ctx.data(x), static_cast<const E*>(factor.data()), ctx.mutable_data(y), false);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(p), [x, p, times](Ctx& c, const E* d_y) {
        if (const auto [d_x, accumulate] = c.gradient(x); d_x) {
          const auto again = detail::repeated(c, p, times);
          K::multiply(c.device(), x.size(), d_y, static_cast<const E*>(again.data()), d_x, accumulate);
        }
        if (E* d_p = c.parameter_gradient(p)) {
          const auto terms = c.scratch(x.size());
          K::multiply(c.device(), x.size(), d_y, c.data(x), static_cast<E*>(terms.data()), false);
          K::column_sum(c.device(), times, P::size, static_cast<const E*>(terms.data()), d_p);
        }
      });
  }
  return y;
}

/// The order of a patch's values inside its token.
enum class PatchOrder {
  channel_row_column,  ///< as a convolution's weight is laid out: the embedding
  row_column_channel,  ///< as the published models emit it: the output
};

namespace detail {
template <int Channels, int Grid, int Patch, PatchOrder Order> constexpr Move patch_move(Index batch) {
  constexpr Index size = Index{Grid} * Patch, dim = Index{Channels} * Patch * Patch;
  constexpr bool first = Order == PatchOrder::channel_row_column;
  constexpr Index channel = first ? Index{Patch} * Patch : 1, row = first ? Patch : Index{Patch} * Channels, column = first ? 1 : Channels;
  Move m;  // image (batch, channel, R p + i, C p + j) to token R grid + C
  m.loop(batch, Channels * size * size, Grid * Grid * dim).loop(Grid, Patch * size, Grid * dim).loop(Grid, Patch, dim);
  return m.loop(Channels, size * size, channel).loop(Patch, size, row).loop(Patch, 1, column);
}
}  // namespace detail

/// Images (batch, channels, size, size) to tokens (batch, (size / Patch)^2, channels Patch^2), row by row.
template <int Patch, PatchOrder Order, class Ctx, AnyValue X> constexpr auto patchify(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  require_operands<name::patchify, Ctx, X>();
  require<rule::BatchedRank<name::patchify, S, 4>, rule::SameShape<name::patchify, Shape<extent<S, 2>>, Shape<extent<S, 3>>>>();
  require<rule::PatchDividesImage<extent<S, 2>, Patch>>();
  constexpr int channels = extent<S, 1>, grid = extent<S, 2> / Patch;
  auto y = ctx.template make<Shape<dynamic, grid * grid, channels * Patch * Patch>>(x.batch);
  if constexpr (!Ctx::counting)
    detail::move<detail::Coverage::whole>(ctx, x, y, detail::patch_move<channels, grid, Patch, Order>(x.batch));
  return y;
}

/// The inverse of `patchify`: tokens (batch, grid^2, Channels Patch^2) to images (batch, Channels, grid Patch, grid Patch).
template <int Patch, int Channels, PatchOrder Order, class Ctx, AnyValue X> constexpr auto unpatchify(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  require_operands<name::patchify, Ctx, X>();
  require<rule::BatchedRank<name::patchify, S, 3>, rule::TokenDim<extent<S, 2>, Channels * Patch * Patch>>();
  constexpr int grid = square_side<extent<S, 1>>;
  require<rule::SameShape<name::patchify, Shape<extent<S, 1>>, Shape<grid * grid>>>();
  auto y = ctx.template make<Shape<dynamic, Channels, grid * Patch, grid * Patch>>(x.batch);
  if constexpr (!Ctx::counting) {
    auto m = detail::patch_move<Channels, grid, Patch, Order>(x.batch);
    m.loops = detail::reversed(m.loops);
    detail::move<detail::Coverage::whole>(ctx, x, y, m);
  }
  return y;
}

}  // namespace ops
SFUMATO_END
