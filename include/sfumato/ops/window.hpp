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
/// The neighbours of places `first` and on, tap by tap: y (places, taps, channels). `sign` -1: of each tap the place on the other side, whose
/// tap this place is. Item i is a place and `block` of its channels, of which they hold a whole number.
template <class E> struct Unfold {
  const E* x;
  E* y;
  Windows w;
  Index first, block, sign;
  SFUMATO_HD void operator()(Index i) const {
    const Index blocks = w.channels / block, n = i / blocks, c = (i - n * blocks) * block;
    const Index all = first + n, places = w.height * w.width, b = all / places, p = all - b * places, row = p / w.width, column = p - row * w.width;
    E* to = y + n * w.size() * w.channels + c;
    for (Index r = 0; r < w.rows; ++r)
      for (Index k = 0; k < w.columns; ++k, to += w.channels) {
        const Index from = w.place(row, column, sign * (r - w.rows / 2), sign * (k - w.columns / 2));
        for (Index j = 0; j < block; ++j) to[j] = from < 0 ? E(0.0f) : x[(b * places + from) * w.channels + c + j];
      }
  }
};
/// Where element i of a weight (out, channels, taps) stands tap by tap: (out, taps, channels) or, with `outer_taps`, (taps, out, channels).
struct TapOrder {
  Index out, channels, taps, outer_taps;
  SFUMATO_HD constexpr Index place(Index i) const {
    const Index row = i / taps, tap = i - row * taps, o = row / channels, c = row - o * channels;
    return (outer_taps != 0 ? tap * out + o : o * taps + tap) * channels + c;
  }
};
template <class E> struct ToTapOrder {
  const E* weight;
  E* y;
  TapOrder order;
  SFUMATO_HD void operator()(Index i) const { y[order.place(i)] = weight[i]; }
};
template <class E> struct FromTapOrder {  // adds
  const E* x;
  E* weight;
  TapOrder order;
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    weight[i] = static_cast<E>(static_cast<C>(weight[i]) + static_cast<C>(x[order.place(i)]));
  }
};

/// Of each 2 x 2 places the largest; among equals the first; one that is no number before all.
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
    for (const Index other : {at + channels, at + width * channels, at + (width + 1) * channels}) {
      const auto value = static_cast<compute_t<E>>(x[other]);
      if (value > static_cast<compute_t<E>>(x[best]) || value != value) best = other;
    }
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

/// So many elements are unfolded at a time, on a CPU few enough for its caches, but of so many places at least that the product is worth its while.
template <class B> inline constexpr Index unfolded_at_once = Index{1} << (host_memory<B> ? 20 : 24);
inline constexpr Index places_at_once = 1024;

template <class Ctx, class W> auto weight_of(Ctx& ctx, const W& w) {
  if constexpr (IsParam<W>) return ctx.weight(w);
  else return ctx.data(w);
}
/// Calls part(first, count, neighbours) for parts of the places of x, samples one after the other; neighbours: (count, taps, channels), x itself where
/// a place is its own only one.
template <bool Alone, class Ctx, class E, class Part> void for_neighbours(Ctx& ctx, const E* x, Index all, const Windows& w, Index sign, Part&& part) {
  using B = typename Ctx::backend;
  if constexpr (Alone) {
    part(Index{0}, all, x);
  } else {
    const Index width = w.channels * w.size(), most = std::min(all, std::max(places_at_once, unfolded_at_once<B> / width)), block = host_memory<B> ? w.channels : 1;
    const auto scratch = ctx.scratch(most * width);
    E* const unfolded = static_cast<E*>(scratch.data());
    for (Index first = 0; first < all; first += most) {
      const Index count = std::min(most, all - first);
      Kernels<B>::for_each(ctx.device(), count * w.channels / block, count * width, Unfold<E>{x, unfolded, w, first, block, sign});
      part(first, count, static_cast<const E*>(unfolded));
    }
  }
}
/// Calls use(weight) with a weight (out, channels, taps) in the given order.
template <bool Alone, class Ctx, class E, class Use> void with_tap_order(Ctx& ctx, const E* weight, const TapOrder& order, Use&& use) {
  if constexpr (Alone) {
    use(weight);
  } else {
    const Index size = order.out * order.channels * order.taps;
    const auto scratch = ctx.scratch(size);
    kernels<Ctx>::for_each(ctx.device(), size, size, ToTapOrder<E>{weight, static_cast<E*>(scratch.data()), order});
    use(static_cast<const E*>(scratch.data()));
  }
}

/// What is gathered for a product is not kept: the backward pass gathers it again for the weight's gradient, and for x's the gradients of the
/// places that saw it, which makes it a convolution too.
template <class Ctx, class X, class W, class Bias> constexpr auto convolve(Ctx& ctx, const X& x, const W& weight, const Bias& bias, const Windows& w) {
  constexpr int out = extent<typename W::shape, 0>;
  constexpr Index in = W::shape::row / out, places = extent<typename X::shape, 1>, channels = width_of<typename X::shape>, taps = in / channels;
  constexpr bool alone = taps == 1;
  auto y = ctx.template make<with_width<typename X::shape, out>>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.macs(x.batch * places * in * out);
    ctx.save(x);
    if constexpr (!IsParam<W>) ctx.save(weight);
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    const Index all = x.batch * places;
    with_tap_order<alone>(ctx, weight_of(ctx, weight), {out, channels, taps, 0}, [&](const E* by_tap) {
      for_neighbours<alone>(ctx, ctx.data(x), all, w, 1, [&](Index first, Index count, const E* seen) {
        K::matmul(ctx.device(), MatmulShape{.m = count, .n = out, .k = in, .a_row = in, .a_col = 1, .b_row = 1, .b_col = in, .c_row = out}, seen, by_tap, ctx.mutable_data(y) + first * out, false,
                  ctx.weight(bias), Activation::none);
      });
    });
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(weight) || ctx.flows(bias), [x, weight, bias, w, all](Ctx& c, const E* d_y) {
        E* d_weight = nullptr;
        if constexpr (IsParam<W>) d_weight = c.parameter_gradient(weight);
        else if (c.flows(weight)) d_weight = c.gradient_to_add(weight.handle.slot);
        if (d_weight) {
          const auto add_to = [&](E* into) {
            for_neighbours<alone>(c, c.data(x), all, w, 1, [&](Index first, Index count, const E* seen) {
              K::matmul(c.device(), MatmulShape{.m = out, .n = in, .k = count, .a_row = 1, .a_col = out, .b_row = in, .b_col = 1, .c_row = in}, d_y + first * out, seen, into, true, nullptr, Activation::none);
            });
          };
          if constexpr (alone) {
            add_to(d_weight);
          } else {
            const auto scratch = c.scratch(in * out);
            E* const by_tap = static_cast<E*>(scratch.data());
            K::fill(c.device(), in * out, 0.0, by_tap);
            add_to(by_tap);
            K::for_each(c.device(), in * out, in * out, FromTapOrder<E>{by_tap, d_weight, {out, channels, taps, 0}});
          }
        }
        if (const auto d_x = c.gradient(x); d_x.data) {
          Windows of_y = w;
          of_y.channels = out;
          with_tap_order<alone>(c, weight_of(c, weight), {out, channels, taps, 1}, [&](const E* by_tap) {
            for_neighbours<alone>(c, d_y, all, of_y, -1, [&](Index first, Index count, const E* d_seen) {
              K::matmul(c.device(), MatmulShape{.m = count, .n = channels, .k = taps * out, .a_row = taps * out, .a_col = 1, .b_row = channels, .b_col = 1, .c_row = channels}, d_seen, by_tap,
                        d_x.data + first * channels, d_x.accumulate, nullptr, Activation::none);
            });
          });
        }
        if (E* d_bias = c.parameter_gradient(bias)) K::column_sum(c.device(), all, Index{out}, d_y, d_bias);
      });
  }
  return y;
}
}  // namespace detail

/// The loops of this file, for each type of element: for who must name them, such as backend::cuda::instantiate_loops.
using WindowLoops =
    std::tuple<detail::Unfold<float>, detail::ToTapOrder<float>, detail::FromTapOrder<float>, detail::MaxPoolForward<float>, detail::MaxPoolBackward<float>, detail::Translate<float>,
               detail::Unfold<double>, detail::ToTapOrder<double>, detail::FromTapOrder<double>, detail::MaxPoolForward<double>, detail::MaxPoolBackward<double>, detail::Translate<double>,
               detail::Unfold<bf16>, detail::ToTapOrder<bf16>, detail::FromTapOrder<bf16>, detail::MaxPoolForward<bf16>, detail::MaxPoolBackward<bf16>, detail::Translate<bf16>>;

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
