// Gradients of one thing inside of another. (`stop_gradient` and `recompute`: ops/recompute.hpp.)
#pragma once

#include <sfumato/autodiff/count.hpp>
#include <sfumato/autodiff/record.hpp>
#include <sfumato/ops/recompute.hpp>

SFUMATO_BEGIN
namespace ops {

/// A scalar and its gradient at one of the values it was made from.
template <class Y, class G> struct ValueAndGradient {
  Y value;
  G gradient;
};
/// `f(ctx, x)`, a scalar, and its gradient at x, at once: nothing of it stays on the tape. What else f uses should be frozen: the
/// gradients of parameters are added to where they always are.
template <class F, class Ctx, AnyValue X> auto value_and_gradient(Ctx& ctx, F&& f, const X& x) requires (Ctx::recording) {
  using T = typename X::element;
  auto leaf = ops::stop_gradient(ctx, x);
  ctx.require_gradient(leaf);
  const std::size_t mark = ctx.mark();
  auto y = f(ctx, std::as_const(leaf));
  require<rule::ScalarLoss<decltype(y)::shape::row>>();
  if (y.handle.slot) Kernels<typename Ctx::backend>::fill(ctx.device(), Index{1}, 1.0, ctx.gradient(y).data);
  ctx.run_down_to(mark);
  auto gradient = ctx.template make<typename X::shape, T>(x.batch);
  if (leaf.handle.slot.gradient()) gradient.handle.data = leaf.handle.slot.gradient();
  else Kernels<typename Ctx::backend>::fill(ctx.device(), x.size(), 0.0, ctx.mutable_data(gradient));
  return ValueAndGradient<decltype(y), decltype(gradient)>{ops::stop_gradient(ctx, y), gradient};
}

/// A scalar that was computed already, and whose gradient at x is known: what `value_and_gradient` gave, put together by hand.
template <class Ctx, AnyValue Y, AnyValue X, AnyValue G> auto with_gradient(Ctx& ctx, const Y& value, const X& x, const G& gradient) requires (Ctx::recording) {
  require<rule::ScalarLoss<Y::shape::row>, rule::SameShape<X, typename X::shape, typename G::shape>, rule::SameElement<X, typename X::element, typename G::element>>();
  require_same_batch("with_gradient", x, gradient);
  using T = typename X::element;
  auto y = ctx.template make<typename Y::shape, typename Y::element>(1);
  y.handle.data = value.handle.data;
  ctx.record(y, ctx.flows(x), [gradient, slot = x.handle.slot](Ctx& c, const typename Y::element* d_y) {
    using K = Kernels<typename Ctx::backend>;
    const Index n = slot.size();
    const auto one = c.template scratch<T>(1), all = c.template scratch<T>(n);
    K::convert(c.device(), Index{1}, d_y, static_cast<T*>(one.data()), false);
    K::strided_copy(c.device(), CopyShape{.rank = 1, .extent = {n}, .src_stride = {0}, .dst_stride = {1}}, static_cast<const T*>(one.data()), static_cast<T*>(all.data()), false);
    const auto [d_x, accumulate] = c.gradient(slot);
    K::multiply(c.device(), n, c.data(gradient), static_cast<const T*>(all.data()), d_x, accumulate);
  });
  return y;
}

}  // namespace ops
SFUMATO_END
