// Neighbourhoods on a grid: convolutions, pooling, translation. Values are (batch, places, channels), places row by row, but for
// `translate`, which takes images.
#pragma once

#include <sfumato/ops/linear.hpp>

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
  /// Where (i + down, j + right) lies; -1: outside.
  SFUMATO_HD constexpr Index place(Index i, Index j, Index down, Index right) const {
    Index y = i + down, x = j + right;
    if (wraps != 0) {  // once round at most: the window is no larger than the grid
      y += y < 0 ? height : y >= height ? -height : 0;
      x += x < 0 ? width : x >= width ? -width : 0;
    }
    return y < 0 || y >= height || x < 0 || x >= width ? -1 : y * width + x;
  }
};
template <class E> struct UnfoldForward {  // of one place and channel, all taps
  const E* x;
  E* y;
  Windows w;
  SFUMATO_HD void operator()(Index i) const {
    const Index all = i / w.channels, c = i - all * w.channels, places = w.height * w.width, b = all / places, p = all - b * places, row = p / w.width, column = p - row * w.width;
    E* to = y + i * w.size();
    for (Index r = 0; r < w.rows; ++r)
      for (Index k = 0; k < w.columns; ++k) {
        const Index from = w.place(row, column, r - w.rows / 2, k - w.columns / 2);
        *to++ = from < 0 ? E(0.0f) : x[(b * places + from) * w.channels + c];
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
    const Index all = i / w.channels, c = i - all * w.channels, places = w.height * w.width, b = all / places, p = all - b * places, row = p / w.width, column = p - row * w.width;
    C sum = accumulate != 0 ? static_cast<C>(d_x[i]) : C(0);
    for (Index r = 0; r < w.rows; ++r)
      for (Index k = 0; k < w.columns; ++k) {
        const Index to = w.place(row, column, w.rows / 2 - r, w.columns / 2 - k);  // whose tap this is
        if (to >= 0) sum += static_cast<C>(d_y[((b * places + to) * w.channels + c) * w.size() + r * w.columns + k]);
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

/// So many unfolded elements are made at a time: a convolution's samples are taken in parts.
inline constexpr Index unfolded_at_once = Index{1} << 24;

template <class Ctx, class W> auto weight_of(Ctx& ctx, const W& w) {
  if constexpr (IsParam<W>) return ctx.weight(w);
  else return ctx.data(w);
}
/// Calls part(first place, places, E* scratch for what is unfolded of them) for parts of a batch; for all of it, without scratch, where a place
/// is its own only neighbour.
template <bool Alone, class Ctx, class Part> void in_parts(Ctx& ctx, Index batch, Index places, Index width, Part&& part) {
  using E = typename Ctx::element;
  if constexpr (Alone) {
    part(Index{0}, batch * places, static_cast<E*>(nullptr));
  } else {
    const Index most = std::clamp(unfolded_at_once / (places * width), Index{1}, batch);
    const auto scratch = ctx.scratch(most * places * width);
    for (Index first = 0; first < batch; first += most) part(first * places, std::min(most, batch - first) * places, static_cast<E*>(scratch.data()));
  }
}
/// The neighbours of `count` places of x from `first` on, unfolded; x itself where a place is its own only one.
template <bool Alone, class Ctx, class X, class E> const E* neighbours(Ctx& ctx, const X& x, Index first, Index count, E* unfolded, const Windows& w) {
  const E* const from = ctx.data(x) + first * w.channels;
  if constexpr (Alone) return from;
  else kernels<Ctx>::for_each(ctx.device(), count * w.channels, count * w.channels * w.size(), UnfoldForward<E>{from, unfolded, w});
  return unfolded;
}
/// Neighbours are gathered again in the backward pass rather than kept.
template <class Ctx, class X, class W, class Bias> constexpr auto convolve(Ctx& ctx, const X& x, const W& weight, const Bias& bias, const Windows& w) {
  constexpr int out = extent<typename W::shape, 0>;
  constexpr Index in = W::shape::row / out, places = extent<typename X::shape, 1>, channels = width_of<typename X::shape>;
  auto y = ctx.template make<with_width<typename X::shape, out>>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.macs(x.batch * places * in * out);
    ctx.save(x);
    if constexpr (!IsParam<W>) ctx.save(weight);
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    in_parts<in == channels>(ctx, x.batch, places, in, [&](Index first, Index count, E* unfolded) {
      const E* const seen = neighbours<in == channels>(ctx, x, first, count, unfolded, w);
      K::matmul(ctx.device(), MatmulShape{.m = count, .n = out, .k = in, .a_row = in, .a_col = 1, .b_row = 1, .b_col = in, .c_row = out}, seen, weight_of(ctx, weight), ctx.mutable_data(y) + first * out,
                false, ctx.weight(bias), Activation::none);
    });
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(weight) || ctx.flows(bias), [x, weight, bias, w](Ctx& c, const E* d_y) {
        const auto d_x = c.gradient(x);
        E* d_weight = nullptr;
        if constexpr (IsParam<W>) d_weight = c.parameter_gradient(weight);
        else if (c.flows(weight)) d_weight = c.gradient_to_add(weight.handle.slot);
        in_parts<in == channels>(c, x.batch, places, in, [&](Index first, Index count, E* unfolded) {
          const E* const d_part = d_y + first * out;
          if (d_weight) {
            const E* const seen = neighbours<in == channels>(c, x, first, count, unfolded, w);
            K::matmul(c.device(), MatmulShape{.m = out, .n = in, .k = count, .a_row = 1, .a_col = out, .b_row = in, .b_col = 1, .c_row = in}, d_part, seen, d_weight, true, nullptr, Activation::none);
          }
          if (d_x.data) {
            constexpr bool direct = in == channels;
            E* const d_here = d_x.data + first * channels;
            K::matmul(c.device(), MatmulShape{.m = count, .n = in, .k = out, .a_row = out, .a_col = 1, .b_row = in, .b_col = 1, .c_row = in}, d_part, weight_of(c, weight), direct ? d_here : unfolded,
                      direct && d_x.accumulate, nullptr, Activation::none);
            if constexpr (!direct) K::for_each(c.device(), count * channels, count * in, UnfoldBackward<E>{unfolded, d_here, w, d_x.accumulate});
          }
        });
        if (E* d_bias = c.parameter_gradient(bias)) K::column_sum(c.device(), x.batch * places, Index{out}, d_y, d_bias);
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

/// A 1-D convolution on a ring: x (batch, n, C), weight a parameter or a value (out, C, Kernel), bias (out) or None; y (batch, n, out).
template <int Kernel, class Ctx, AnyValue X, class W, class Bias> requires (IsParam<W> || AnyValue<W>) constexpr auto circular_convolution(Ctx& ctx, const X& x, const W& weight, const Bias& bias) {
  using S = typename X::shape;
  require_operands<name::convolution, Ctx, X>();
  require<rule::BatchedRank<name::convolution, S, 3>, rule::KernelSize<Kernel, extent<S, 1>>,
          rule::SameShape<name::convolution, typename W::shape, Shape<extent<typename W::shape, 0>, width_of<S>, Kernel>>>();
  if constexpr (!is_none<Bias>) require<rule::SameShape<name::convolution, typename Bias::shape, Shape<extent<typename W::shape, 0>>>>();
  return detail::convolve(ctx, x, weight, bias, {1, extent<S, 1>, width_of<S>, 1, Kernel, 1});
}
/// A 2-D convolution that keeps the size of a square grid, zeros beyond it: x (batch, side^2, C), weight a parameter or a value (out, C, Kernel,
/// Kernel), bias (out) or None; y (batch, side^2, out).
template <int Kernel, class Ctx, AnyValue X, class W, class Bias> requires (IsParam<W> || AnyValue<W>) constexpr auto convolution(Ctx& ctx, const X& x, const W& weight, const Bias& bias) {
  using S = typename X::shape;
  constexpr int places = extent<S, 1>, side = square_side<places>;
  require_operands<name::convolution, Ctx, X>();
  require<rule::BatchedRank<name::convolution, S, 3>, rule::SquarePlaces<places, side * side>, rule::KernelSize<Kernel, Kernel>,
          rule::SameShape<name::convolution, typename W::shape, Shape<extent<typename W::shape, 0>, width_of<S>, Kernel, Kernel>>>();
  if constexpr (!is_none<Bias>) require<rule::SameShape<name::convolution, typename Bias::shape, Shape<extent<typename W::shape, 0>>>>();
  return detail::convolve(ctx, x, weight, bias, {side, side, width_of<S>, Kernel, Kernel, 0});
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
