// Non-linearities: elementwise, gated, and softmax.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/ops/operands.hpp>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct activation;
struct swiglu;
struct softmax;
}  // namespace name

/// y = act(x), elementwise.
template <class Ctx, AnyValue X> constexpr auto activation(Ctx& ctx, const X& x, Activation act) {
  require_operands<name::activation, Ctx, X>();
  auto y = ctx.template make<typename X::shape>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(x);
  } else {
    kernels<Ctx>::activation(ctx.device(), act, x.size(), ctx.data(x), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [x, act](Ctx& c, const auto* d_y) {
        const auto [d_x, accumulate] = c.gradient(x);
        kernels<Ctx>::activation_backward(c.device(), act, x.size(), d_y, c.data(x), d_x, accumulate);
      });
  }
  return y;
}

template <class Ctx, AnyValue X> constexpr auto silu(Ctx& ctx, const X& x) { return activation(ctx, x, Activation::silu); }
template <class Ctx, AnyValue X> constexpr auto relu(Ctx& ctx, const X& x) { return activation(ctx, x, Activation::relu); }
template <class Ctx, AnyValue X> constexpr auto gelu(Ctx& ctx, const X& x) { return activation(ctx, x, Activation::gelu_erf); }

/// y = silu(gate) * value for x = [gate | value] (Shazeer 2020). x: (..., 2 hidden); y: (..., hidden).
template <class Ctx, AnyValue X> constexpr auto swiglu(Ctx& ctx, const X& x) {
  constexpr int width = width_of<typename X::shape>;
  require_operands<name::swiglu, Ctx, X>();
  require<rule::PackedWidth<name::swiglu, width, 2>>();
  auto y = ctx.template make<with_width<typename X::shape, width / 2>>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(x);
  } else {
    kernels<Ctx>::swiglu(ctx.device(), rows_of(x), Index{width / 2}, ctx.data(x), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [x](Ctx& c, const auto* d_y) {
        const auto [d_x, accumulate] = c.gradient(x);
        kernels<Ctx>::swiglu_backward(c.device(), rows_of(x), Index{width / 2}, d_y, c.data(x), d_x, accumulate);
      });
  }
  return y;
}

/// Softmax over the last axis.
template <class Ctx, AnyValue X> constexpr auto softmax(Ctx& ctx, const X& x) {
  constexpr int width = width_of<typename X::shape>;
  require_operands<name::softmax, Ctx, X>();
  require<rule::StaticWidth<name::softmax, width_of<typename X::shape>>>();
  auto y = ctx.template make<typename X::shape>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(y);
  } else {
    kernels<Ctx>::softmax(ctx.device(), rows_of(x), Index{width}, ctx.data(x), ctx.mutable_data(y));
    if constexpr (Ctx::recording) {
      const auto kept = y;  // without a slot: its data alone is needed, and none of x's
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot, kept](Ctx& c, const auto* d_y) {
        const auto [d_x, accumulate] = c.gradient(slot);
        kernels<Ctx>::softmax_backward(c.device(), rows_of(kept), Index{width}, d_y, c.data(kept), d_x, accumulate);
      });
    }
  }
  return y;
}

}  // namespace ops
SFUMATO_END
