// Where numbers that are not tensors enter a model: labels, times, images, dropout's coin.
#pragma once

#include <sfumato/ops/loss.hpp>
#include <sfumato/tensor/tensor.hpp>

#include <algorithm>
#include <cmath>
#include <tuple>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct embedding;
struct dropout;
struct fourier;
struct input;
struct output;
}  // namespace name

/// A value filled on the host: `fill(E* elements)` writes batch * S::row of them.
template <IsShape S, class Ctx, class Fill> auto input_from(Ctx& ctx, Index batch, Fill&& fill) {
  using E = typename Ctx::element;
  require_batch<S>(batch);
  auto x = ctx.template make<S>(batch);
  auto host = ctx.workspace().template host<E>(static_cast<std::size_t>(x.size()));
  fill(host.data());
  kernels<Ctx>::upload(ctx.device(), ctx.mutable_data(x), static_cast<const E*>(host.data()), x.size());
  return x;
}

/// A copy of host elements as a value; (batch, ...) shapes take as many samples as there are elements for.
template <IsShape S, class Ctx, class E> auto input(Ctx& ctx, std::span<const E> elements) {
  const Index batch = Index(elements.size()) / S::row;
  check(batch * S::row == Index(elements.size()) && (S::batched || batch == 1), "shape", elements.size(), " elements do not fill samples of ", S::row);
  return input_from<S>(ctx, batch, [&](auto* out) {
    std::transform(elements.begin(), elements.end(), out, [](E e) { return static_cast<std::remove_reference_t<decltype(*out)>>(e); });
  });
}

/// The same from a container of elements, such as a std::vector.
template <IsShape S, class Ctx, class Elements> requires requires(const Elements& e) { e.data() + e.size(); }
auto input(Ctx& ctx, const Elements& elements) {
  return input<S>(ctx, std::span<const typename Elements::value_type>(elements.data(), elements.size()));
}

/// Memory that somebody else owns as a value, without a copy: it must outlive the value and all that is recorded from it. No op
/// writes to its inputs.
template <class Ctx, class E, IsShape S, class B> auto borrow(Ctx& ctx, const View<E, S, B>& view) {
  using T = std::remove_const_t<E>;
  require<rule::SameBackend<name::input, typename Ctx::backend, B>, rule::SameElement<name::input, typename Ctx::element, T>>();
  require_batch<S>(view.batch);
  check(view.data != nullptr, "batch", "a batch of ", view.batch, " samples at a null pointer");
  return ctx.template adopt<S>(view.batch, ctx.workspace().pool().borrow(const_cast<T*>(view.data)));
}

/// A copy of a tensor's samples, or of some of them, as a value: `input(ctx, tensor.view().slice(0, 8))`.
template <class Ctx, class E, IsShape S, class B> auto input(Ctx& ctx, const View<E, S, B>& view) {
  using T = std::remove_const_t<E>;
  require<rule::SameBackend<name::input, typename Ctx::backend, B>, rule::SameElement<name::input, typename Ctx::element, T>>();
  require_batch<S>(view.batch);
  auto x = ctx.template make<S>(view.batch);
  const double one = 1;
  kernels<Ctx>::linear_combination(ctx.device(), Index{1}, x.size(), &one, static_cast<const T*>(view.data), nullptr, static_cast<const T*>(nullptr),
                                   ctx.mutable_data(x), false);
  return x;
}
/// Copies a value to a tensor of its shape and batch.
template <class Ctx, AnyValue X, class E, class B> void output(Ctx& ctx, const X& x, Tensor<E, typename X::shape, B>& out) {
  require<rule::SameBackend<name::output, typename Ctx::backend, B>, rule::SameElement<name::output, typename X::element, E>>();
  check(out.batch() == x.batch, "batch", "a value of ", x.batch, " samples cannot be copied to a tensor of ", out.batch());
  const double one = 1;
  kernels<Ctx>::linear_combination(ctx.device(), Index{1}, x.size(), &one, ctx.data(x), nullptr, static_cast<const E*>(nullptr), out.data(), false);
}

/// Copies a value's elements to the host, as elements of another type on request.
template <class Ctx, AnyValue X, Element E> void output(Ctx& ctx, const X& x, std::span<E> out) {
  check(Index(out.size()) == x.size(), "shape", "a value of ", x.size(), " elements cannot be copied to ", out.size());
  using Own = typename X::element;
  if constexpr (std::is_same_v<E, Own>) {
    kernels<Ctx>::download(ctx.device(), out.data(), ctx.data(x), x.size());
  } else {
    const auto host = ctx.workspace().template host<Own>(out.size());
    kernels<Ctx>::download(ctx.device(), host.data(), ctx.data(x), x.size());
    std::transform(host.begin(), host.end(), out.begin(), [](auto v) { return static_cast<E>(v); });
  }
}

/// Standard normal times `scale`: sample b takes the numbers of the stream from (first + b) * S::row on.
template <IsShape S, class Ctx> auto normal(Ctx& ctx, Index batch, const Random& random, Index first = 0, double scale = 1) {
  require_batch<S>(batch);
  auto x = ctx.template make<S>(batch);
  kernels<Ctx>::normal(ctx.device(), random, first * S::row, x.size(), scale, ctx.mutable_data(x));
  return x;
}

/// Rows of a table (classes, width) by label; y: (batch, width). Throws Error("label-range").
template <class Ctx, IsParam P> constexpr auto embedding(Ctx& ctx, const P& table, std::span<const int> labels) {
  using S = typename P::shape;
  constexpr int classes = extent<S, 0>, width = extent<S, 1>;
  require<rule::TableRank<name::embedding, S, S::rank>>();
  const Index n = Index(labels.size());
  auto y = ctx.template make<Shape<dynamic, width>>(n);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    check_labels(labels, classes);
    K::embedding(ctx.device(), n, Index{width}, ctx.weight(table), labels.data(), ctx.mutable_data(y));
    if constexpr (Ctx::recording) {
      auto kept = ctx.workspace().host_copy(labels);
      ctx.record(y, ctx.flows(table), [table, kept, n](Ctx& c, const auto* d_y) {
        K::embedding_backward(c.device(), n, Index{width}, d_y, kept.data(), c.parameter_gradient(table));
      });
    }
  }
  return y;
}

/// [cos(t f_k) | sin(t f_k)], f_k = max_period^(-k / (Dim/2)): the timestep embedding of DiT. y: (batch, Dim).
template <int Dim, class Ctx> constexpr auto sinusoidal(Ctx& ctx, std::span<const double> times, double max_period = 10000) {
  require<rule::EvenFrequencies<Dim>>();
  if constexpr (Ctx::counting) {
    return ctx.template make<Shape<dynamic, Dim>>(Index(times.size()));
  } else {
    return input_from<Shape<dynamic, Dim>>(ctx, Index(times.size()), [&](auto* out) {
      using E = std::remove_reference_t<decltype(*out)>;
      constexpr int frequencies = Dim / 2;
      for (const double t : times)
        for (int k = 0; k < Dim; ++k) {
          const double angle = t * std::exp(-std::log(max_period) * (k % frequencies) / frequencies);
          *out++ = static_cast<E>(k < frequencies ? std::cos(angle) : std::sin(angle));
        }
    });
  }
}

namespace detail {
/// Angle of sample b and frequency k, in full turns of 2 pi.
template <class E> struct FourierForward {
  const E* frequency;
  const compute_t<E>* time;
  E* y;
  Index frequencies;
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    const Index b = i / frequencies, k = i - b * frequencies;
    const C angle = C(6.28318530717958647693) * time[b] * static_cast<C>(frequency[k]);
    E* const row = y + b * 2 * frequencies + k;
    row[0] = static_cast<E>(std::sin(angle));
    row[frequencies] = static_cast<E>(std::cos(angle));
  }
};
template <class E> struct FourierBackward {
  const E *d_y, *frequency;
  const compute_t<E>* time;
  E* d_frequency;
  Index samples, frequencies;
  SFUMATO_HD void operator()(Index k) const {
    using C = compute_t<E>;
    C sum = 0;
    for (Index b = 0; b < samples; ++b) {
      const C turn = C(6.28318530717958647693) * time[b], angle = turn * static_cast<C>(frequency[k]);
      const E* const d = d_y + b * 2 * frequencies + k;
      sum += turn * (static_cast<C>(d[0]) * std::cos(angle) - static_cast<C>(d[frequencies]) * std::sin(angle));
    }
    d_frequency[k] = static_cast<E>(static_cast<C>(d_frequency[k]) + sum);
  }
};
}  // namespace detail

/// The loops of `fourier`, for each type of element: for who must name them, such as backend::cuda::instantiate_loops.
using FourierLoops = std::tuple<detail::FourierForward<float>, detail::FourierBackward<float>, detail::FourierForward<double>, detail::FourierBackward<double>,
                                detail::FourierForward<bf16>, detail::FourierBackward<bf16>>;

/// [sin(2 pi w t) | cos(2 pi w t)], Gaussian Fourier features where the frequencies w are drawn once (Tancik et al. 2020). w: (frequencies);
/// y: (batch, 2 frequencies). Angles are taken in compute_t of the element, from w as the context has it: in bf16 rounded, by up to
/// 2^-9 of its size.
template <class Ctx, IsParam P> constexpr auto fourier(Ctx& ctx, const P& frequency, std::span<const double> times) {
  constexpr int frequencies = static_cast<int>(P::size);
  require<rule::SameShape<name::fourier, typename P::shape, Shape<frequencies>>>();
  const Index n = Index(times.size());
  auto y = ctx.template make<Shape<dynamic, 2 * frequencies>>(n);
  if constexpr (Ctx::counting) {
    if constexpr (!P::frozen) ctx.save_statistics(n);  // times
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    using C = typename Ctx::wide;
    const auto host = ctx.workspace().template host<C>(times.size());
    std::transform(times.begin(), times.end(), host.begin(), [](double t) { return static_cast<C>(t); });
    const auto device = ctx.template scratch<C>(n);
    const C* const time = static_cast<const C*>(device.data());
    K::upload(ctx.device(), static_cast<C*>(device.data()), static_cast<const C*>(host.data()), n);
    K::for_each(ctx.device(), n * frequencies, 8 * n * frequencies, detail::FourierForward<E>{ctx.weight(frequency), time, ctx.mutable_data(y), frequencies});
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(frequency), [frequency, device, time, n](Ctx& c, const E* d_y) {
        K::for_each(c.device(), Index{frequencies}, 8 * n * frequencies,
                    detail::FourierBackward<E>{d_y, c.weight(frequency), time, c.parameter_gradient(frequency), n, frequencies});
      });
  }
  return y;
}

/// Inverted dropout in training; the identity in inference. `site` tells the places of a model apart. The mask depends on
/// the step, the site and the sample's number only, so recomputation and any split of the batch draw the same one.
template <class Ctx, AnyValue X> constexpr auto dropout(Ctx& ctx, const X& x, double rate, std::uint64_t site) {
  require_operands<name::dropout, Ctx, X>();
  if constexpr (!Ctx::recording) {
    return x;
  } else {
    using K = kernels<Ctx>;
    if (rate == 0) return x;
    check(rate > 0 && rate < 1, "dropout-rate", "a dropout rate must be in [0, 1), found ", rate);
    const Random random{ctx.random.seed + site * 0x9E3779B97F4A7C15u, Stream::dropout, ctx.random.step};
    const Index first = ctx.random.first_sample * X::shape::row;
    auto y = ctx.template make<typename X::shape>(x.batch);
    K::dropout(ctx.device(), random, first, x.size(), rate, ctx.data(x), ctx.mutable_data(y), false);
    ctx.record(y, ctx.flows(x), [=, slot = x.handle.slot, n = x.size()](Ctx& c, const auto* d_y) {
      const auto [d_x, accumulate] = c.gradient(slot);
      K::dropout(c.device(), random, first, n, rate, d_y, d_x, accumulate);
    });
    return y;
  }
}

}  // namespace ops
SFUMATO_END
