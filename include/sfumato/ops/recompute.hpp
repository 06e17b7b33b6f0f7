// Where gradients flow, and what is kept for them.
#pragma once

#include <sfumato/ops/operands.hpp>

#include <tuple>

SFUMATO_BEGIN
namespace ops {

/// The same data; no gradient flows back through it.
template <class Ctx, AnyValue X> constexpr auto stop_gradient(Ctx&, X x) {
  if constexpr (Ctx::recording) x.handle.slot = {};
  return x;
}

/// `f(ctx, inputs...)`, keeping only its inputs: the backward pass runs it again (Chen et al. 2016). `f` must use nothing
/// but its arguments, parameters and the step's random numbers, and is copied.
template <class F, class Ctx, AnyValue... X> constexpr auto recompute(Ctx& ctx, F f, const X&... inputs) {
  if constexpr (Ctx::counting) {
    (ctx.save(inputs), ...);
    return ctx.without_saving([&](Ctx& inner) { return f(inner, inputs...); });
  } else if constexpr (!Ctx::recording) {
    return f(ctx, inputs...);
  } else {
    // Recorded and forgotten at once: the ops see the same context in both passes, so both give the same bits.
    const std::size_t mark = ctx.mark();
    auto y = f(ctx, ops::stop_gradient(ctx, inputs)...);
    const bool needed = ctx.flows(y) || (ctx.flows(inputs) || ...);
    ctx.forget_down_to(mark);
    y = ops::stop_gradient(ctx, y);
    ctx.record(y, needed, [f, kept = std::make_tuple(inputs...)](Ctx& c, auto& slot) {
      std::apply(
          [&](const auto&... original) {
            auto leaves = std::make_tuple(original...);
            std::apply([&](auto&... leaf) { ((leaf.handle.slot ? c.require_gradient(leaf) : void()), ...); }, leaves);
            const std::size_t start = c.mark();
            auto again = std::apply([&](const auto&... leaf) { return f(c, leaf...); }, leaves);
            c.move_gradient(slot, again.handle.slot);
            c.run_down_to(start);
            std::apply(
                [&](auto&... leaf) {
                  const auto send = [&](auto& from, const auto& to) {
                    if (from.handle.slot && from.handle.slot.gradient()) c.move_gradient(from.handle.slot, to.handle.slot);
                  };
                  (send(leaf, original), ...);
                },
                leaves);
          },
          kept);
    });
    return y;
  }
}

}  // namespace ops
SFUMATO_END
