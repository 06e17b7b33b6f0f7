// Neighbourhoods on a grid: convolutions, pooling, translation. Values are (batch, places, channels), places row by row, but for
// `translate`, which takes images.
#pragma once

#include <sfumato/ops/linear.hpp>
#include <sfumato/ops/recompute.hpp>

#include <algorithm>
#include <span>
#include <tuple>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct unfold;
struct convolution;
struct max_pool;
struct translate;
}  // namespace name

namespace detail {
/// Windows of `rows` x `columns` places around each place of a grid; beyond its border there are zeros, or, with `wraps`, its other side.
struct Windows {
  Index height, width, channels, rows, columns, wraps;

  SFUMATO_HD constexpr Index size() const { return rows * columns; }
  /// Where tap k of the window around (i, j) lies; -1: outside.
  SFUMATO_HD constexpr Index place(Index i, Index j, Index k) const {
    Index y = i + k / columns - rows / 2, x = j + k % columns - columns / 2;
    if (wraps != 0) {
      y = (y + height) % height;
      x = (x + width) % width;
    }
    return y < 0 || y >= height || x < 0 || x >= width ? -1 : y * width + x;
  }
};
template <class E> struct UnfoldForward {  // of one place and channel, all taps
  const E* x;
  E* y;
  Windows w;
  SFUMATO_HD void operator()(Index i) const {
    const Index all = i / w.channels, c = i - all * w.channels, places = w.height * w.width, b = all / places, p = all - b * places;
    for (Index k = 0; k < w.size(); ++k) {
      const Index from = w.place(p / w.width, p % w.width, k);
      y[i * w.size() + k] = from < 0 ? E(0.0f) : x[(b * places + from) * w.channels + c];
    }
  }
};
template <class E> struct UnfoldBackward {  // of one place and channel, from all windows that it is in
  const E* d_y;
  E* d_x;
  Windows w;
  Index accumulate;
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    const Index all = i / w.channels, c = i - all * w.channels, places = w.height * w.width, b = all / places, p = all - b * places;
    C sum = accumulate != 0 ? static_cast<C>(d_x[i]) : C(0);
    for (Index k = 0; k < w.size(); ++k) {
      const Index to = w.place(p / w.width, p % w.width, w.size() - 1 - k);  // whose tap k this is: the window is symmetric
      if (to >= 0) sum += static_cast<C>(d_y[((b * places + to) * w.channels + c) * w.size() + k]);
    }
    d_x[i] = static_cast<E>(sum);
  }
};

/// Of each 2 x 2 places the largest; among equals the first.
struct Pooling {
  Index height, width, channels;  ///< of what is pooled

  /// The first element of the four that make element i.
  SFUMATO_HD constexpr Index first(Index i) const {
    const Index half = width / 2, all = i / channels, c = i - all * channels, row = all / half, column = all - row * half;
    return (row * 2 * width + column * 2) * channels + c;  // rows of all samples in a row: heights are even
  }
  template <class E> SFUMATO_HD Index largest(const E* x, Index i) const {
    const Index at = first(i);
    Index best = at;
    for (const Index other : {at + channels, at + width * channels, at + (width + 1) * channels})
      if (static_cast<compute_t<E>>(x[other]) > static_cast<compute_t<E>>(x[best])) best = other;
    return best;
  }
};
template <class E> struct MaxPoolForward {
  const E* x;
  E* y;
  Pooling p;
  SFUMATO_HD void operator()(Index i) const { y[i] = x[p.largest(x, i)]; }
};
template <class E> struct MaxPoolBackward {
  const E *d_y, *x;
  E* d_x;
  Pooling p;
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    E& d = d_x[p.largest(x, i)];
    d = static_cast<E>(static_cast<C>(d) + static_cast<C>(d_y[i]));
  }
};

template <class E> struct Translate {
  const E* x;
  const int* shift;  ///< by sample: rows, columns
  E* y;
  Index channels, height, width, sign, accumulate;
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    const Index row = i / width, j = i - row * width, plane = row / height, r = row - plane * height, b = plane / channels;
    const Index from_row = r - sign * shift[2 * b], from_column = j - sign * shift[2 * b + 1];
    const bool inside = from_row >= 0 && from_row < height && from_column >= 0 && from_column < width;
    const C value = inside ? static_cast<C>(x[(plane * height + from_row) * width + from_column]) : C(0);
    y[i] = static_cast<E>(accumulate != 0 ? static_cast<C>(y[i]) + value : value);
  }
};

template <int Kernel, class Ctx, class X> constexpr auto unfolded(Ctx& ctx, const X& x, const Windows& w) {
  constexpr int taps = Kernel, channels = width_of<typename X::shape>;
  auto y = ctx.template make<with_width<typename X::shape, channels * taps>>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    K::for_each(ctx.device(), x.size(), y.size(), UnfoldForward<E>{ctx.data(x), ctx.mutable_data(y), w});
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot, w](Ctx& c, const E* d_y) {
        const auto [d_x, accumulate] = c.gradient(slot);
        K::for_each(c.device(), slot.size(), slot.size() * w.size(), UnfoldBackward<E>{d_y, d_x, w, accumulate});
      });
  }
  return y;
}
}  // namespace detail

/// The loops of this file, for each type of element: for who must name them, such as backend::cuda::instantiate_loops.
using WindowLoops =
    std::tuple<detail::UnfoldForward<float>, detail::UnfoldBackward<float>, detail::MaxPoolForward<float>, detail::MaxPoolBackward<float>, detail::Translate<float>,
               detail::UnfoldForward<double>, detail::UnfoldBackward<double>, detail::MaxPoolForward<double>, detail::MaxPoolBackward<double>, detail::Translate<double>,
               detail::UnfoldForward<bf16>, detail::UnfoldBackward<bf16>, detail::MaxPoolForward<bf16>, detail::MaxPoolBackward<bf16>, detail::Translate<bf16>>;

/// The `Kernel` neighbours of each place on a ring of places, channel by channel: (batch, n, C) to (batch, n, C * Kernel), the order of a
/// 1-D convolution's weight (out, C, Kernel). The place itself is in the middle.
template <int Kernel, class Ctx, AnyValue X> constexpr auto unfold_circular(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  require_operands<name::unfold, Ctx, X>();
  require<rule::BatchedRank<name::unfold, S, 3>, rule::KernelSize<Kernel, extent<S, 1>>>();
  return detail::unfolded<Kernel>(ctx, x, {1, extent<S, 1>, width_of<S>, 1, Kernel, 1});
}
/// The Kernel x Kernel neighbours of each place of a square grid, zeros beyond it: (batch, side^2, C) to (batch, side^2, C * Kernel^2), the
/// order of a 2-D convolution's weight (out, C, Kernel, Kernel).
template <int Kernel, class Ctx, AnyValue X> constexpr auto unfold(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  constexpr int places = extent<S, 1>, side = square_side<places>;
  require_operands<name::unfold, Ctx, X>();
  require<rule::BatchedRank<name::unfold, S, 3>, rule::SquarePlaces<places, side * side>, rule::KernelSize<Kernel, Kernel>>();
  return detail::unfolded<Kernel * Kernel>(ctx, x, {side, side, width_of<S>, Kernel, Kernel, 0});
}

/// A 1-D convolution on a ring: x (batch, n, C), weight (out, C, Kernel), bias (out) or None; y (batch, n, out). Neighbours are gathered
/// again in the backward pass rather than kept.
template <int Kernel, class Ctx, AnyValue X, IsParam W, class Bias> constexpr auto circular_convolution(Ctx& ctx, const X& x, const W& weight, const Bias& bias) {
  require<rule::SameShape<name::convolution, typename W::shape, Shape<extent<typename W::shape, 0>, width_of<typename X::shape>, Kernel>>>();
  return recompute(ctx, [weight, bias](Ctx& c, const X& v) { return linear(c, unfold_circular<Kernel>(c, v), weight, bias); }, x);
}
/// A 2-D convolution that keeps the grid's size: x (batch, side^2, C), weight (out, C, Kernel, Kernel), bias (out) or None; y (batch, side^2,
/// out). Neighbours are gathered again in the backward pass rather than kept.
template <int Kernel, class Ctx, AnyValue X, IsParam W, class Bias> constexpr auto convolution(Ctx& ctx, const X& x, const W& weight, const Bias& bias) {
  require<rule::SameShape<name::convolution, typename W::shape, Shape<extent<typename W::shape, 0>, width_of<typename X::shape>, Kernel, Kernel>>>();
  return recompute(ctx, [weight, bias](Ctx& c, const X& v) { return linear(c, unfold<Kernel>(c, v), weight, bias); }, x);
}

/// The largest of each 2 x 2 places of a square grid of even side: (batch, side^2, C) to (batch, side^2 / 4, C).
template <class Ctx, AnyValue X> constexpr auto max_pool(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  constexpr int places = extent<S, 1>, side = square_side<places>, channels = width_of<S>;
  require_operands<name::max_pool, Ctx, X>();
  require<rule::BatchedRank<name::max_pool, S, 3>, rule::SquarePlaces<places, side * side>, rule::PatchDividesImage<side, 2>>();
  auto y = ctx.template make<replace_extent<S, 1, places / 4>>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(x);
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    const detail::Pooling pooling{side, side, channels};
    K::for_each(ctx.device(), y.size(), x.size(), detail::MaxPoolForward<E>{ctx.data(x), ctx.mutable_data(y), pooling});
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [x, pooling, size = y.size()](Ctx& c, const E* d_y) {
        E* const d_x = c.gradient_to_add(x.handle.slot);
        K::for_each(c.device(), size, x.size(), detail::MaxPoolBackward<E>{d_y, c.data(x), d_x, pooling});
      });
  }
  return y;
}

/// Each image moved by its own whole number of rows and columns, zeros where nothing was: y[b, c, i + rows, j + columns] = x[b, c, i, j].
/// x: (batch, channels, height, width); shifts: rows and columns for each sample, one after the other.
template <class Ctx, AnyValue X> constexpr auto translate(Ctx& ctx, const X& x, std::span<const int> shifts) {
  using S = typename X::shape;
  require_operands<name::translate, Ctx, X>();
  require<rule::BatchedRank<name::translate, S, 4>>();
  auto y = ctx.template make<S>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    check(Index(shifts.size()) == 2 * x.batch, "batch", "translate has ", shifts.size(), " shifts for ", x.batch, " images, expected two for each");
    const auto host = ctx.workspace().host_copy(shifts);
    const auto device = ctx.template scratch<int>(Index(shifts.size()));
    int* const on_device = static_cast<int*>(device.data());
    K::upload(ctx.device(), on_device, static_cast<const int*>(host.data()), Index(shifts.size()));
    const detail::Translate<E> loop{ctx.data(x), on_device, ctx.mutable_data(y), extent<S, 1>, extent<S, 2>, extent<S, 3>, 1, 0};
    K::for_each(ctx.device(), x.size(), x.size(), loop);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot, loop, device](Ctx& c, const E* d_y) {
        const auto [d_x, accumulate] = c.gradient(slot);
        auto back = loop;
        back.x = d_y, back.y = d_x, back.sign = -1, back.accumulate = accumulate;
        K::for_each(c.device(), slot.size(), slot.size(), back);
      });
  }
  return y;
}

}  // namespace ops
SFUMATO_END
