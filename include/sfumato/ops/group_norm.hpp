// Group norm (Wu and He 2018) and batch norm (Ioffe and Szegedy 2015): channels brought to mean 0 and variance 1 over all places, each sample's groups of them, or each of
// them over all samples.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/ops/operands.hpp>

#include <cmath>
#include <tuple>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct group_norm;
struct batch_norm;
}  // namespace name

namespace detail {
/// A value's groups, and the parts that its places come in. Sums over a part are kept by channel, two kinds of them: (batch, parts, 2, channels).
struct Groups {
  Index batch, places, channels, count;
  static constexpr Index part = 128;

  SFUMATO_HD constexpr Index parts() const { return (places + part - 1) / part; }
  SFUMATO_HD constexpr Index width() const { return channels / count; }
  SFUMATO_HD constexpr Index partial(Index b, Index p, Index kind, Index c) const { return ((b * parts() + p) * 2 + kind) * channels + c; }
  SFUMATO_HD constexpr double size() const { return static_cast<double>(places * width()); }
};
/// Element c of a weight, or 1 where there is none.
template <class E> SFUMATO_HD compute_t<E> gain_of(const E* weight, Index c) { return weight != nullptr ? static_cast<compute_t<E>>(weight[c]) : compute_t<E>(1); }
/// A part of a sample's places, and `Lanes` of its channels.
template <int Lanes> struct GroupPart {
  Index sample, part, channel, first, last;  ///< elements of the first channel, at the first place and behind the last
  SFUMATO_HD constexpr GroupPart(const Groups& g, Index i) {
    const Index blocks = g.channels / Lanes, n = i / blocks;
    channel = (i - n * blocks) * Lanes;
    sample = n / g.parts();
    part = n - sample * g.parts();
    const Index begin = part * Groups::part, end = begin + Groups::part < g.places ? begin + Groups::part : g.places;
    first = (sample * g.places + begin) * g.channels + channel;
    last = (sample * g.places + end) * g.channels + channel;
  }
};

/// Of each part: the sums of x less the channel's first value in the sample, and of its square: no large numbers cancel.
template <class E, int Lanes> struct GroupSums {
  const E* x;
  compute_t<E>* partial;
  Groups g;
  SFUMATO_HD void operator()(Index i) const {
    using S = compute_t<E>;
    const GroupPart<Lanes> at(g, i);
    const E* const pivot = x + at.sample * g.places * g.channels + at.channel;
    S sum[Lanes], square[Lanes], start[Lanes];
    for (int l = 0; l < Lanes; ++l) sum[l] = 0, square[l] = 0, start[l] = static_cast<S>(pivot[l]);
    for (Index j = at.first; j < at.last; j += g.channels)
      for (int l = 0; l < Lanes; ++l) {
        const S d = static_cast<S>(x[j + l]) - start[l];
        sum[l] += d;
        square[l] += d * d;
      }
    S* const to = partial + g.partial(at.sample, at.part, 0, at.channel);
    for (int l = 0; l < Lanes; ++l) to[l] = sum[l], to[g.channels + l] = square[l];
  }
};
/// Of each group: mean and one over the deviation, (batch, groups) each.
template <class E> struct GroupStatistics {
  const E* x;
  const compute_t<E>* partial;
  compute_t<E>*mean, *rstd;
  Groups g;
  double epsilon;
  SFUMATO_HD void operator()(Index i) const {
    const Index b = i / g.count, begin = (i - b * g.count) * g.width();
    const auto sum = [&](Index kind, Index c) {
      double all = 0;
      for (Index p = 0; p < g.parts(); ++p) all += static_cast<double>(partial[g.partial(b, p, kind, c)]);
      return all;
    };
    const auto places = static_cast<double>(g.places);
    const auto channel_mean = [&](Index c) { return static_cast<double>(static_cast<compute_t<E>>(x[b * g.places * g.channels + c])) + sum(0, c) / places; };
    double middle = 0, squares = 0;
    for (Index c = begin; c < begin + g.width(); ++c) middle += channel_mean(c);
    middle /= static_cast<double>(g.width());
    for (Index c = begin; c < begin + g.width(); ++c) {
      const double s = sum(0, c), off = channel_mean(c) - middle;
      squares += sum(1, c) - s * s / places + places * off * off;
    }
    mean[i] = static_cast<compute_t<E>>(middle);
    rstd[i] = static_cast<compute_t<E>>(1 / std::sqrt((squares > 0 ? squares : 0) / g.size() + epsilon));
  }
};
template <class E, int Lanes> struct GroupNormForward {
  const E *x, *weight, *bias;  ///< the latter two or null
  const compute_t<E>*mean, *rstd;
  E* y;
  Groups g;
  SFUMATO_HD void operator()(Index i) const {
    using S = compute_t<E>;
    const GroupPart<Lanes> at(g, i);
    S middle[Lanes], gain[Lanes], offset[Lanes];
    for (int l = 0; l < Lanes; ++l) {
      const Index c = at.channel + l, group = at.sample * g.count + c / g.width();
      middle[l] = mean[group], gain[l] = rstd[group] * gain_of(weight, c), offset[l] = bias != nullptr ? static_cast<S>(bias[c]) : S(0);
    }
    for (Index j = at.first; j < at.last; j += g.channels)
      for (int l = 0; l < Lanes; ++l) y[j + l] = static_cast<E>((static_cast<S>(x[j + l]) - middle[l]) * gain[l] + offset[l]);
  }
};
/// Of each part: the sums of d_y and of d_y x_hat.
template <class E, int Lanes> struct GroupGradientSums {
  const E *d_y, *x;
  const compute_t<E>*mean, *rstd;
  compute_t<E>* partial;
  Groups g;
  SFUMATO_HD void operator()(Index i) const {
    using S = compute_t<E>;
    const GroupPart<Lanes> at(g, i);
    S sum[Lanes], product[Lanes], middle[Lanes], gain[Lanes];
    for (int l = 0; l < Lanes; ++l) {
      const Index group = at.sample * g.count + (at.channel + l) / g.width();
      sum[l] = 0, product[l] = 0, middle[l] = mean[group], gain[l] = rstd[group];
    }
    for (Index j = at.first; j < at.last; j += g.channels)
      for (int l = 0; l < Lanes; ++l) {
        const S d = static_cast<S>(d_y[j + l]);
        sum[l] += d;
        product[l] += d * ((static_cast<S>(x[j + l]) - middle[l]) * gain[l]);
      }
    S* const to = partial + g.partial(at.sample, at.part, 0, at.channel);
    for (int l = 0; l < Lanes; ++l) to[l] = sum[l], to[g.channels + l] = product[l];
  }
};
/// Of each group: the means of d_y weight and of d_y weight x_hat, (batch, groups, 2).
template <class E> struct GroupGradientMeans {
  const E* weight;
  const compute_t<E>* partial;
  compute_t<E>* means;
  Groups g;
  SFUMATO_HD void operator()(Index i) const {
    const Index b = i / g.count, begin = (i - b * g.count) * g.width();
    double sums[2] = {0, 0};
    for (Index c = begin; c < begin + g.width(); ++c)
      for (Index p = 0; p < g.parts(); ++p)
        for (Index kind = 0; kind < 2; ++kind) sums[kind] += static_cast<double>(gain_of(weight, c)) * static_cast<double>(partial[g.partial(b, p, kind, c)]);
    for (Index kind = 0; kind < 2; ++kind) means[2 * i + kind] = static_cast<compute_t<E>>(sums[kind] / g.size());
  }
};
template <class E, int Lanes> struct GroupNormBackward {
  const E *d_y, *x, *weight;
  const compute_t<E>*mean, *rstd, *means;
  E* d_x;
  Groups g;
  Index accumulate;
  SFUMATO_HD void operator()(Index i) const {
    using S = compute_t<E>;
    const GroupPart<Lanes> at(g, i);
    S middle[Lanes], gain[Lanes], factor[Lanes], first[Lanes], second[Lanes];
    for (int l = 0; l < Lanes; ++l) {
      const Index c = at.channel + l, group = at.sample * g.count + c / g.width();
      middle[l] = mean[group], gain[l] = rstd[group], factor[l] = gain_of(weight, c), first[l] = means[2 * group], second[l] = means[2 * group + 1];
    }
    for (Index j = at.first; j < at.last; j += g.channels)
      for (int l = 0; l < Lanes; ++l) {
        const S x_hat = (static_cast<S>(x[j + l]) - middle[l]) * gain[l];
        const S d = gain[l] * (static_cast<S>(d_y[j + l]) * factor[l] - first[l] - x_hat * second[l]);
        d_x[j + l] = static_cast<E>(accumulate != 0 ? static_cast<S>(d_x[j + l]) + d : d);
      }
  }
};
/// Adds a channel's sums, of all samples, to what they are the gradient of.
template <class E> struct GroupParameterGradients {
  const compute_t<E>* partial;
  E *d_weight, *d_bias;  ///< or null
  Groups g;
  SFUMATO_HD void operator()(Index c) const {
    const auto add = [&](Index kind, E* to) {
      double all = 0;
      for (Index b = 0; b < g.batch; ++b)
        for (Index p = 0; p < g.parts(); ++p) all += static_cast<double>(partial[g.partial(b, p, kind, c)]);
      if (to != nullptr) to[c] = static_cast<E>(static_cast<compute_t<E>>(to[c]) + static_cast<compute_t<E>>(all));
    };
    add(0, d_bias);
    add(1, d_weight);
  }
};

/// Calls body.operator()<Lanes>(): how many channels an item of a loop takes, on a CPU a vector of them where they come in such.
template <class B, int Channels, class Body> void by_lanes(Body&& body) {
  if constexpr (host_memory<B> && Channels % 16 == 0) body.template operator()<16>();
  else body.template operator()<1>();
}
/// x brought to mean 0 and variance 1 by the groups `g`, whose `statistics`, (2 g.batch, groups), are filled in: means in the first half of the rows, ones over deviations in the other.
template <class Ctx, AnyValue X, AnyValue S, class W, class Bias> X normed_groups(Ctx& ctx, const X& x, S& statistics, const W& weight, const Bias& bias, const Groups& g, double epsilon) {
  using K = kernels<Ctx>;
  using E = typename Ctx::element;
  using T = compute_t<E>;
  constexpr int channels = width_of<typename X::shape>;
  auto y = ctx.template make<typename X::shape>(x.batch);
  const Index all = g.batch * g.count, sums = 2 * g.batch * g.parts() * g.channels;
  T* const mean = ctx.mutable_data(statistics);
  T* const rstd = mean + all;
  by_lanes<typename Ctx::backend, channels>([&]<int Lanes>() {
    const Index items = g.batch * g.parts() * g.channels / Lanes;
    const auto scratch = ctx.template scratch<T>(sums);
    T* const partial = static_cast<T*>(scratch.data());
    K::for_each(ctx.device(), items, x.size(), GroupSums<E, Lanes>{ctx.data(x), partial, g});
    K::for_each(ctx.device(), all, 2 * sums, GroupStatistics<E>{ctx.data(x), partial, mean, rstd, g, epsilon});
    K::for_each(ctx.device(), items, 2 * x.size(), GroupNormForward<E, Lanes>{ctx.data(x), ctx.weight(weight), ctx.weight(bias), mean, rstd, ctx.mutable_data(y), g});
  });
  if constexpr (Ctx::recording)
    ctx.record(y, ctx.flows(x) || ctx.flows(weight) || ctx.flows(bias), [=](Ctx& c, const E* d_y) {
      const T* const middle = c.data(statistics);
      const T* const gain = middle + all;
      by_lanes<typename Ctx::backend, channels>([&]<int Lanes>() {
        const Index items = g.batch * g.parts() * g.channels / Lanes;
        const auto scratch = c.template scratch<T>(sums);
        T* const partial = static_cast<T*>(scratch.data());
        K::for_each(c.device(), items, 2 * x.size(), GroupGradientSums<E, Lanes>{d_y, c.data(x), middle, gain, partial, g});
        if (const auto [d_x, accumulate] = c.gradient(x); d_x) {
          const auto of_groups = c.template scratch<T>(2 * all);
          T* const means = static_cast<T*>(of_groups.data());
          K::for_each(c.device(), all, sums, GroupGradientMeans<E>{c.weight(weight), partial, means, g});
          K::for_each(c.device(), items, 3 * x.size(), GroupNormBackward<E, Lanes>{d_y, c.data(x), c.weight(weight), middle, gain, means, d_x, g, accumulate});
        }
        E *const d_weight = c.parameter_gradient(weight), *const d_bias = c.parameter_gradient(bias);
        if (d_weight != nullptr || d_bias != nullptr) K::for_each(c.device(), g.channels, sums, GroupParameterGradients<E>{partial, d_weight, d_bias, g});
      });
    });
  return y;
}
}  // namespace detail

/// The loops of this file, of one type of element: for who must name them, such as backend::cuda::instantiate_loops.
template <class E> using GroupNormLoops = std::tuple<detail::GroupSums<E, 1>, detail::GroupStatistics<E>, detail::GroupNormForward<E, 1>, detail::GroupGradientSums<E, 1>, detail::GroupGradientMeans<E>,
                                                     detail::GroupNormBackward<E, 1>, detail::GroupParameterGradients<E>>;

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, mean and variance over a sample's places and its channel's group, of `Count` groups of
/// neighbouring channels. x, y: (batch, places, channels); weight, bias: parameters (channels).
template <int Count, class Ctx, AnyValue X, IsParam W, IsParam Bias> constexpr auto group_norm(Ctx& ctx, const X& x, const W& weight, const Bias& bias, double epsilon) {
  using S = typename X::shape;
  constexpr int channels = width_of<S>;
  require_operands<name::group_norm, Ctx, X>();
  require<rule::BatchedRank<name::group_norm, S, 3>, rule::GroupsDivideChannels<channels, Count>, rule::SameShape<name::group_norm, typename W::shape, Shape<channels>>,
          rule::SameShape<name::group_norm, typename Bias::shape, Shape<channels>>>();
  if constexpr (Ctx::counting) {
    ctx.save(x);
    ctx.save_statistics(2 * x.batch * Count);
    return ctx.template make<S>(x.batch);
  } else {
    auto statistics = ctx.template make<Shape<dynamic, Count>, typename Ctx::wide>(2 * x.batch);
    return detail::normed_groups(ctx, x, statistics, weight, bias, {x.batch, extent<S, 1>, channels, Count}, epsilon);
  }
}

/// What `batch_norm` gives: its result, and what it took out, (2, channels): means, and ones over sqrt(variance + epsilon). No gradient flows from the latter.
template <class Y, class S> struct BatchNormed {
  Y normed;
  S statistics;
};
/// y = (x - mean) / sqrt(variance + epsilon), mean and variance of each channel over all places of all samples: what becomes of a sample depends on the others.
/// x, y: (batch, places, channels).
template <class Ctx, AnyValue X> constexpr auto batch_norm(Ctx& ctx, const X& x, double epsilon) {
  using S = typename X::shape;
  constexpr int channels = width_of<S>;
  require_operands<name::batch_norm, Ctx, X>();
  require<rule::BatchedRank<name::batch_norm, S, 3>>();
  auto statistics = ctx.template make<Shape<dynamic, channels>, typename Ctx::wide>(2);
  if constexpr (Ctx::counting) {
    ctx.save(x);
    ctx.save_statistics(2 * channels);
    return BatchNormed<X, decltype(statistics)>{ctx.template make<S>(x.batch), statistics};
  } else {
    const X y = detail::normed_groups(ctx, x, statistics, None{}, None{}, {1, x.batch * extent<S, 1>, channels, channels}, epsilon);
    return BatchNormed<X, decltype(statistics)>{y, statistics};
  }
}

}  // namespace ops
SFUMATO_END
