// Neighbourhoods on a grid: convolutions, pooling, translation. Values are (batch, places, channels), places row by row, but for
// `translate`, which takes images.
#pragma once

#include <sfumato/ops/linear.hpp>
#include <sfumato/ops/winograd.hpp>

#include <algorithm>
#include <cstring>
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
/// Windows of `rows` x `columns` places on a grid: window (i, j), of a grid 1 / `stride` as high and wide, begins at (stride i - up,
/// stride j - left). Beyond the border there are zeros, or, with `wraps`, the other side.
struct Windows {
  Index height, width;  ///< of the grid that they lie on
  Index rows, columns, up, left, stride = 1, wraps = 0;

  SFUMATO_HD constexpr Index taps() const { return rows * columns; }
  SFUMATO_HD constexpr Index places() const { return height * width; }
  SFUMATO_HD constexpr Index windows() const { return (height / stride) * (width / stride); }
  /// The place that window (i, j) has at its tap (r, k); -1: none.
  SFUMATO_HD constexpr Index seen(Index i, Index j, Index r, Index k) const { return at(stride * i + r - up, stride * j + k - left, height, width); }
  /// The window that has place (y, x) at its tap (r, k); -1: none.
  SFUMATO_HD constexpr Index seer(Index y, Index x, Index r, Index k) const {
    const Index i = y + up - r, j = x + left - k;
    return i % stride != 0 || j % stride != 0 ? -1 : at(i / stride, j / stride, height / stride, width / stride);
  }

 private:
  SFUMATO_HD constexpr Index at(Index y, Index x, Index rows_here, Index columns_here) const {
    if (wraps != 0) {  // once round at most: the window is no larger than the grid
      y += y < 0 ? rows_here : y >= rows_here ? -rows_here : 0;
      x += x < 0 ? columns_here : x >= columns_here ? -columns_here : 0;
    }
    return y < 0 || y >= rows_here || x < 0 || x >= columns_here ? -1 : y * columns_here + x;
  }
};
/// What windows `first` and on see, tap by tap: x (places, channels) to y (windows, taps, channels). With `seers` the other way round: for
/// places, of each tap the window that has them there: x (windows, channels) to y (places, taps, channels). Item i is a row of y and `block` of
/// its channels, of which they hold a whole number.
template <class E> struct Unfold {
  const E* x;
  E* y;
  Windows w;
  Index channels, first, block, seers;
  SFUMATO_HD void operator()(Index i) const {
    const Index blocks = channels / block, n = i / blocks, c = (i - n * blocks) * block;
    const Index across = seers != 0 ? w.width : w.width / w.stride, here = seers != 0 ? w.places() : w.windows(), there = seers != 0 ? w.windows() : w.places();
    const Index all = first + n, b = all / here, p = all - b * here, row = p / across, column = p - row * across;
    E* to = y + n * w.taps() * channels + c;
    const bool pieces = seers == 0 && block == channels;
    for (Index r = 0; r < w.rows; ++r) {
      // A row of a window that lies inside of the grid is one piece of x.
      const Index top = w.stride * row + r - w.up, begin = w.stride * column - w.left;
      if (pieces && top >= 0 && top < w.height && begin >= 0 && begin + w.columns <= w.width) {
        copy(x + (b * there + top * w.width + begin) * channels, w.columns * channels, to);
        to += w.columns * channels;
        continue;
      }
      for (Index k = 0; k < w.columns; ++k, to += channels) {
        const Index from = seers != 0 ? w.seer(row, column, r, k) : w.seen(row, column, r, k);
        if (from < 0) for (Index j = 0; j < block; ++j) to[j] = E(0.0f);
        else copy(x + (b * there + from) * channels + c, block, to);
      }
    }
  }

 private:
  static SFUMATO_HD void copy(const E* from, Index n, E* to) {
#if defined(__CUDA_ARCH__)
    for (Index j = 0; j < n; ++j) to[j] = from[j];
#else
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(E));  // as wide as the processor can, whatever this was compiled for
#endif
  }
};
/// What windows see, of products (places, taps, Out) of each place with all taps: y (windows, Out), the sums over taps of each tap's place. Item i is a window
/// of any sample; there are zeros beyond the border.
template <class E, int Out> struct Fold {
  const E *products, *bias;
  E* y;
  Windows w;
  SFUMATO_HD void operator()(Index i) const {
    const Index across = w.width / w.stride, here = w.windows(), b = i / here, p = i - b * here, row = p / across, column = p - row * across, taps = w.taps();
    const Index top = w.stride * row - w.up, begin = w.stride * column - w.left;
    const Index first = begin < 0 ? -begin : 0, last = begin + w.columns > w.width ? w.width - begin : w.columns;
    E sum[Out];
    // Unrolled, so that the sums are registers.
    const auto each = [](const auto& f) { [&]<int... O>(std::integer_sequence<int, O...>) { (f(O), ...); }(std::make_integer_sequence<int, Out>{}); };
    each([&](int o) { sum[o] = bias != nullptr ? bias[o] : E(0.0f); });
    for (Index r = top < 0 ? -top : 0; r < w.rows && top + r < w.height; ++r)
      for (Index k = first; k < last; ++k) {
        const E* const of_tap = products + ((b * w.places() + (top + r) * w.width + begin + k) * taps + r * w.columns + k) * Out;
        each([&](int o) { sum[o] += of_tap[o]; });
      }
    each([&](int o) { y[i * Out + o] = sum[o]; });
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
/// Calls part(first, count, neighbours) for parts of all windows or, with `seers`, places of `samples`; neighbours: (count, taps, channels), x itself
/// where each window is a place.
template <bool Alone, class Ctx, class E, class Part> void for_neighbours(Ctx& ctx, const E* x, Index samples, const Windows& w, Index channels, bool seers, Part&& part) {
  using B = typename Ctx::backend;
  const Index all = samples * (seers ? w.places() : w.windows());
  if constexpr (Alone) {
    part(Index{0}, all, x);
  } else {
    const Index width = channels * w.taps(), most = std::min(all, std::max(places_at_once, unfolded_at_once<B> / width)), block = host_memory<B> ? channels : 1;
    const auto scratch = ctx.scratch(most * width);
    E* const unfolded = static_cast<E*>(scratch.data());
    for (Index first = 0; first < all; first += most) {
      const Index count = std::min(most, all - first);
      Kernels<B>::for_each(ctx.device(), count * channels / block, count * width, Unfold<E>{x, unfolded, w, channels, first, block, seers});
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
    kernels<Ctx>::for_each(ctx.device(), size, 2 * size, ToTapOrder<E>{weight, static_cast<E*>(scratch.data()), order});
    use(static_cast<const E*>(scratch.data()));
  }
}

/// Whether it is less to multiply every place with all taps and then to add up what windows see than to lay out first what they see: where there is
/// little to come out. (In bf16 the sums would be rounded between the taps.)
template <class Ctx, class E, int Out, int Channels, int Taps> inline constexpr bool fold_pays = multiplies_dearly<typename Ctx::backend> && std::is_same_v<E, compute_t<E>> && Out * Taps <= Channels;

/// A convolution's extents, and by which algorithm it goes: where each window is a place, as a product; by Winograd's or by folding, where that pays; else by
/// unfolding. What is gathered for a product is not kept: the backward pass gathers it again for the weight's gradient, and for x's the gradients
/// of the windows that saw a place, which makes it a convolution too.
template <int Out, int Channels, int Taps, bool Alone, bool MayTransform> struct ConvolutionPasses {
  static constexpr Index out = Out, channels = Channels, in = Index{Channels} * Taps;
  Windows w;
  Index samples;

  template <class Ctx, class E> void forward(Ctx& ctx, const E* x, const E* weight, const E* bias, E* y) const {
    if constexpr (MayTransform && winograd_pays<Ctx, E, Channels, Out>) {
      Winograd{w.height, w.width, samples, channels, out, false}.run(ctx, x, weight, bias, y, false);
    } else if constexpr (MayTransform && fold_pays<Ctx, E, Out, Channels, Taps>) {
      with_tap_order<false>(ctx, weight, {out, channels, Taps, 1}, [&](const E* by_tap) {
        constexpr Index products = out * Taps;
        const Index at_once = std::clamp<Index>(unfolded_at_once<typename Ctx::backend> / (w.places() * products), 1, samples);
        const auto scratch = ctx.scratch(at_once * w.places() * products);
        E* const of_places = static_cast<E*>(scratch.data());
        for (Index first = 0; first < samples; first += at_once) {
          const Index count = std::min(at_once, samples - first), rows = count * w.places();
          kernels<Ctx>::matmul(ctx.device(), MatmulShape{.m = rows, .n = products, .k = channels, .a_row = channels, .a_col = 1, .b_row = 1, .b_col = channels, .c_row = products}, x + first * w.places() * channels,
                               by_tap, of_places, false, nullptr, Activation::none);
          kernels<Ctx>::for_each(ctx.device(), count * w.windows(), rows * products, Fold<E, Out>{of_places, bias, y + first * w.windows() * out, w});
        }
      });
    } else {
      with_tap_order<Alone>(ctx, weight, {out, channels, Taps, 0}, [&](const E* by_tap) {
        for_neighbours<Alone>(ctx, x, samples, w, channels, false, [&](Index first, Index count, const E* seen) {
          kernels<Ctx>::matmul(ctx.device(), MatmulShape{.m = count, .n = out, .k = in, .a_row = in, .a_col = 1, .b_row = 1, .b_col = in, .c_row = out}, seen, by_tap, y + first * out, false, bias,
                               Activation::none);
        });
      });
    }
  }
  template <class Ctx, class E> void weight_backward(Ctx& ctx, const E* x, const E* d_y, E* d_weight) const {
    using K = kernels<Ctx>;
    const auto add_to = [&](E* into) {
      for_neighbours<Alone>(ctx, x, samples, w, channels, false, [&](Index first, Index count, const E* seen) {
        K::matmul(ctx.device(), MatmulShape{.m = out, .n = in, .k = count, .a_row = 1, .a_col = out, .b_row = in, .b_col = 1, .c_row = in}, d_y + first * out, seen, into, true, nullptr, Activation::none);
      });
    };
    if constexpr (Alone) {
      add_to(d_weight);
    } else {
      const auto scratch = ctx.scratch(in * out);
      E* const by_tap = static_cast<E*>(scratch.data());
      K::fill(ctx.device(), in * out, 0.0, by_tap);
      add_to(by_tap);
      K::for_each(ctx.device(), in * out, in * out, FromTapOrder<E>{by_tap, d_weight, {out, channels, Taps, 0}});
    }
  }
  template <class Ctx, class E> void input_backward(Ctx& ctx, const E* d_y, const E* weight, E* d_x, bool accumulate) const {
    if constexpr (MayTransform && winograd_pays<Ctx, E, Out, Channels>) {
      Winograd{w.height, w.width, samples, out, channels, true}.run(ctx, d_y, weight, static_cast<const E*>(nullptr), d_x, accumulate);
    } else {
      with_tap_order<Alone>(ctx, weight, {out, channels, Taps, 1}, [&](const E* by_tap) {
        for_neighbours<Alone>(ctx, d_y, samples, w, out, true, [&](Index first, Index count, const E* d_seen) {
          kernels<Ctx>::matmul(ctx.device(), MatmulShape{.m = count, .n = channels, .k = Taps * out, .a_row = Taps * out, .a_col = 1, .b_row = channels, .b_col = 1, .c_row = channels}, d_seen, by_tap,
                               d_x + first * channels, accumulate, nullptr, Activation::none);
        });
      });
    }
  }
};

/// x (batch, places, channels), weight (out, channels, taps...); y (batch, windows, out).
template <int Rows, int Columns, int Stride, bool Wraps, class Ctx, class X, class W, class Bias>
constexpr auto convolve(Ctx& ctx, const X& x, const W& weight, const Bias& bias, Index height, Index width) {
  constexpr int out = extent<typename W::shape, 0>, channels = width_of<typename X::shape>, taps = Rows * Columns, windows = extent<typename X::shape, 1> / (Wraps ? 1 : Stride * Stride);
  constexpr bool even = extent<typename X::shape, 1> % 4 == 0;  // of a square grid: both sides are
  // What windows of a stride need beyond the border is half in front, the smaller half, and half behind.
  const Windows w{height, width, Rows, Columns, Rows > Stride ? (Rows - Stride) / 2 : 0, Columns > Stride ? (Columns - Stride) / 2 : 0, Stride, Wraps};
  auto y = ctx.template make<with_width<replace_extent<typename X::shape, 1, windows>, out>>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.macs(x.batch * windows * channels * taps * out);
    ctx.save(x);
    if constexpr (!IsParam<W>) ctx.save(weight);
  } else {
    using E = typename Ctx::element;
    const ConvolutionPasses<out, channels, taps, taps == 1 && Stride == 1, Rows == 3 && Columns == 3 && Stride == 1 && !Wraps && even> passes{w, x.batch};
    passes.forward(ctx, ctx.data(x), weight_of(ctx, weight), ctx.weight(bias), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(weight) || ctx.flows(bias), [x, weight, bias, passes](Ctx& c, const E* d_y) {
        E* d_weight = nullptr;
        if constexpr (IsParam<W>) d_weight = c.parameter_gradient(weight);
        else if (c.flows(weight)) d_weight = c.gradient_to_add(weight.handle.slot);
        if (d_weight) passes.weight_backward(c, c.data(x), d_y, d_weight);
        if (const auto d_x = c.gradient(x); d_x.data) passes.input_backward(c, d_y, weight_of(c, weight), d_x.data, d_x.accumulate);
        if (E* d_bias = c.parameter_gradient(bias)) kernels<Ctx>::column_sum(c.device(), x.batch * windows, Index{out}, d_y, d_bias);
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
  return detail::convolve<1, Kernel, 1, true>(ctx, x, weight, bias, 1, extent<S, 1>);
}
/// A 2-D convolution of a square grid, zeros beyond it: x (batch, side^2, C), weight a parameter or a value (out, C, Kernel, Kernel), bias (out) or
/// None; y (batch, (side / Stride)^2, out). With a stride of 2 a window of 3 begins at its place: zeros are needed behind the grid alone.
template <int Kernel, int Stride = 1, class Ctx, AnyValue X, class W, class Bias> requires (IsParam<W> || AnyValue<W>) constexpr auto convolution(Ctx& ctx, const X& x, const W& weight, const Bias& bias) {
  using S = typename X::shape;
  constexpr int places = extent<S, 1>, side = square_side<places>;
  require_operands<name::convolution, Ctx, X>();
  require<rule::BatchedRank<name::convolution, S, 3>, rule::SquarePlaces<places, side * side>, rule::KernelSize<Kernel, Kernel>, rule::StrideDivides<side, Stride>,
          rule::SameShape<name::convolution, typename W::shape, Shape<extent<typename W::shape, 0>, width_of<S>, Kernel, Kernel>>>();
  if constexpr (!is_none<Bias>) require<rule::SameShape<name::convolution, typename Bias::shape, Shape<extent<typename W::shape, 0>>>>();
  return detail::convolve<Kernel, Kernel, Stride, false>(ctx, x, weight, bias, side, side);
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
