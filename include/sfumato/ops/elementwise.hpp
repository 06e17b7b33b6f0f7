// Sums, products and per-sample linear combinations.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/ops/operands.hpp>

#include <array>
#include <span>
#include <tuple>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct add;
struct multiply;
struct combine;
struct convert;
struct reshape;
struct channel_affine;
}  // namespace name

namespace detail {
template <class To, class Ctx, class X> constexpr auto cast(Ctx& ctx, const X& x) {
  require_context<name::convert, Ctx, X>();
  if constexpr (std::is_same_v<typename X::element, To>) {
    return x;
  } else {
    auto y = ctx.template make<typename X::shape, To>(x.batch);
    if constexpr (!Ctx::counting) {
      using K = kernels<Ctx>;
      K::convert(ctx.device(), x.size(), ctx.data(x), ctx.mutable_data(y), false);
      if constexpr (Ctx::recording)
        ctx.record(y, ctx.flows(x), [slot = x.handle.slot](Ctx& c, const To* d_y) {
          const auto [d_x, accumulate] = c.gradient(slot);
          K::convert(c.device(), slot.size(), d_y, d_x, accumulate);
        });
    }
    return y;
  }
}
}  // namespace detail

/// The same values in the context's wide elements, compute_t of its own: f32 in a bf16 model, where sums gather without being
/// rounded at each step. x itself where it is wide already, as all values of f32 and f64 are.
template <class Ctx, AnyValue X> constexpr auto widen(Ctx& ctx, const X& x) { return detail::cast<typename Ctx::wide>(ctx, x); }
/// Rounded to the context's own elements, which all ops take.
template <class Ctx, AnyValue X> constexpr auto narrow(Ctx& ctx, const X& x) { return detail::cast<typename Ctx::element>(ctx, x); }

/// alpha x + beta y with constant coefficients; both wide, or neither.
template <class Ctx, AnyValue X, AnyValue Y>
constexpr auto combine(Ctx& ctx, double alpha, const X& x, double beta, const Y& y) {
  using E = typename X::element;
  require_context<name::combine, Ctx, X, Y>();
  require<rule::SameElement<name::combine, E, typename Y::element>, rule::SameShape<name::combine, typename X::shape, typename Y::shape>>();
  auto z = ctx.template make<typename X::shape, E>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    require_same_batch("combine", x, y);
    K::linear_combination(ctx.device(), Index{1}, x.size(), &alpha, ctx.data(x), &beta, ctx.data(y), ctx.mutable_data(z), false);
    if constexpr (Ctx::recording)
      ctx.record(z, ctx.flows(x) || ctx.flows(y), [a = alpha, b = beta, x_slot = x.handle.slot, y_slot = y.handle.slot](Ctx& c, auto& slot) {
        const E* const d_z = slot.data();
        const auto send = [&](double factor, const auto& to) {
          if (auto [d, accumulate] = c.gradient(to); d)
            K::linear_combination(c.device(), Index{1}, to.size(), &factor, d_z, nullptr, static_cast<const E*>(nullptr), d, accumulate);
        };
        send(b, y_slot);
        if (a == 1) c.move_gradient(slot, x_slot);
        else send(a, x_slot);
      });
  }
  return z;
}

/// alpha x.
template <class Ctx, AnyValue X> constexpr auto scale(Ctx& ctx, double alpha, const X& x) {
  using E = typename X::element;
  require_context<name::combine, Ctx, X>();
  auto y = ctx.template make<typename X::shape, E>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    K::linear_combination(ctx.device(), Index{1}, x.size(), &alpha, ctx.data(x), nullptr, static_cast<const E*>(nullptr), ctx.mutable_data(y), false);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [a = alpha, slot = x.handle.slot](Ctx& c, const E* d_y) {
        const auto [d, accumulate] = c.gradient(slot);
        K::linear_combination(c.device(), Index{1}, slot.size(), &a, d_y, nullptr, static_cast<const E*>(nullptr), d, accumulate);
      });
  }
  return y;
}

template <class Ctx, AnyValue X, AnyValue Y> constexpr auto add(Ctx& ctx, const X& x, const Y& y) { return combine(ctx, 1, x, 1, y); }
template <class Ctx, AnyValue X, AnyValue Y> constexpr auto subtract(Ctx& ctx, const X& x, const Y& y) { return combine(ctx, 1, x, -1, y); }

/// alpha[b] x[b] + beta[b] y[b], coefficients by sample; no gradient flows to them. `y` may be None, `beta` empty then.
template <class Ctx, AnyValue X, class Y>
constexpr auto combine_samples(Ctx& ctx, std::span<const double> alpha, const X& x, std::span<const double> beta, const Y& y) {
  constexpr bool two = !is_none<Y>;
  require_operands<name::combine, Ctx, X>();
  if constexpr (two) {
    require_operands<name::combine, Ctx, Y>();
    require<rule::SameShape<name::combine, typename X::shape, typename Y::shape>>();
  }
  auto z = ctx.template make<typename X::shape>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    check(Index(alpha.size()) == x.batch, "batch", "combine_samples has ", alpha.size(), " coefficients for a batch of ", x.batch);
    const E* y_data = nullptr;
    if constexpr (two) {
      require_same_batch("combine", x, y);
      check(beta.size() == alpha.size(), "batch", "combine_samples has ", beta.size(), " second coefficients for a batch of ", x.batch);
      y_data = ctx.data(y);
    }
    K::linear_combination(ctx.device(), x.batch, X::shape::row, alpha.data(), ctx.data(x), two ? beta.data() : nullptr, y_data, ctx.mutable_data(z), false);
    if constexpr (Ctx::recording) {
      bool needed = ctx.flows(x);
      if constexpr (two) needed = needed || ctx.flows(y);
      auto a = ctx.workspace().host_copy(alpha);
      auto b = ctx.workspace().host_copy(beta);
      const auto y_slot = [&] {
        if constexpr (two) return y.handle.slot;
        else return None{};
      }();
      ctx.record(z, needed, [a, b, batch = x.batch, x_slot = x.handle.slot, y_slot](Ctx& c, const E* d_z) {
        const auto send = [&](const HostArray<double>& factor, const auto& to) {
          if (auto [d, accumulate] = c.gradient(to); d)
            K::linear_combination(c.device(), batch, X::shape::row, factor.data(), d_z, nullptr, static_cast<const E*>(nullptr), d, accumulate);
        };
        send(a, x_slot);
        if constexpr (two) send(b, y_slot);
        else (void)y_slot;
      });
    }
  }
  return z;
}

/// x * y, elementwise.
template <class Ctx, AnyValue X, AnyValue Y> constexpr auto multiply(Ctx& ctx, const X& x, const Y& y) {
  require_operands<name::multiply, Ctx, X, Y>();
  require<rule::SameShape<name::multiply, typename X::shape, typename Y::shape>>();
  auto z = ctx.template make<typename X::shape>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(x);
    ctx.save(y);
  } else {
    using K = kernels<Ctx>;
    require_same_batch("multiply", x, y);
    K::multiply(ctx.device(), x.size(), ctx.data(x), ctx.data(y), ctx.mutable_data(z), false);
    if constexpr (Ctx::recording)
      ctx.record(z, ctx.flows(x) || ctx.flows(y), [x, y](Ctx& c, const auto* d_z) {
        if (auto [d_x, accumulate] = c.gradient(x); d_x) K::multiply(c.device(), x.size(), d_z, c.data(y), d_x, accumulate);
        if (auto [d_y, accumulate] = c.gradient(y); d_y) K::multiply(c.device(), x.size(), d_z, c.data(x), d_y, accumulate);
      });
  }
  return z;
}

namespace detail {
template <class E> struct ChannelAffine {
  const E* x;
  E* y;
  Index channels, plane, accumulate;
  compute_t<E> scale[4], shift[4];
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    const Index c = i / plane % channels;
    const C value = scale[c] * static_cast<C>(x[i]) + shift[c];
    y[i] = static_cast<E>(accumulate != 0 ? static_cast<C>(y[i]) + value : value);
  }
};
}  // namespace detail
/// The loops of `channel_affine`, for each type of element: for who must name them, such as backend::cuda::instantiate_loops.
using ChannelAffineLoops = std::tuple<detail::ChannelAffine<float>, detail::ChannelAffine<double>, detail::ChannelAffine<bf16>>;

/// scale[c] x + shift[c], constants by channel. x: (batch, channels, height, width), of four channels at most.
template <class Ctx, AnyValue X, std::size_t Channels>
constexpr auto channel_affine(Ctx& ctx, const X& x, const std::array<double, Channels>& scale, const std::array<double, Channels>& shift) {
  require_operands<name::channel_affine, Ctx, X>();
  require<rule::BatchedRank<name::channel_affine, typename X::shape, 4>, rule::SameShape<name::channel_affine, Shape<extent<typename X::shape, 1>>, Shape<int(Channels)>>,
          rule::ColourChannels<int(Channels)>>();
  auto y = ctx.template make<typename X::shape>(x.batch);
  if constexpr (!Ctx::counting) {
    using E = typename Ctx::element;
    detail::ChannelAffine<E> loop{ctx.data(x), ctx.mutable_data(y), Index{Channels}, X::shape::row / Index{Channels}, 0, {}, {}};
    for (std::size_t c = 0; c < Channels; ++c) loop.scale[c] = static_cast<compute_t<E>>(scale[c]), loop.shift[c] = static_cast<compute_t<E>>(shift[c]);
    kernels<Ctx>::for_each(ctx.device(), x.size(), x.size(), loop);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [loop, slot = x.handle.slot](Ctx& c, const E* d_y) {
        const auto [d_x, accumulate] = c.gradient(slot);
        auto back = loop;
        back.x = d_y, back.y = d_x, back.accumulate = accumulate;
        for (auto& s : back.shift) s = 0;
        kernels<Ctx>::for_each(c.device(), slot.size(), slot.size(), back);
      });
  }
  return y;
}

/// The same elements under another shape: (batch, ...) to (batch, ...) of equal size per sample, or batched to batched with
/// another number of elements per sample, when the total divides evenly. No copy.
template <IsShape To, class Ctx, AnyValue X> constexpr auto reshape(Ctx& ctx, const X& x) {
  require_context<name::reshape, Ctx, X>();
  if constexpr (!To::batched || !X::shape::batched) require<rule::SameSize<name::reshape, X::shape::row, To::row>>();
  const Index batch = To::batched ? x.size() / To::row : 1;
  check(batch * To::row == x.size(), "reshape", x.size(), " elements do not fill samples of ", To::row);
  if constexpr (Ctx::counting) {
    return Value<Ctx, To, typename X::element>{batch, x.handle};
  } else {
    auto y = ctx.template reinterpret<To>(x, batch);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot](Ctx& c, auto& from) { c.move_gradient(from, slot); });
    return y;
  }
}

}  // namespace ops
SFUMATO_END
