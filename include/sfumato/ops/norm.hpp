// Normalisation fused with adaLN modulation, and the gated residual: the two memory passes of a pre-norm block.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/ops/operands.hpp>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct norm;
struct gated_residual;
}  // namespace name

namespace detail {
template <class X, class Mod> constexpr RowShape modulation_rows(const X& x) {
  constexpr int width = width_of<typename X::shape>;
  RowShape rows{rows_of(x), width};
  if constexpr (!is_none<Mod>) {
    constexpr int stride = width_of<typename Mod::shape>;
    rows.rows_per_sample = (X::shape::row / width) / (Mod::shape::row / stride);
    rows.modulation_stride = stride;
  }
  return rows;
}
template <class Op, int Chunk, class X, class Mod> constexpr void require_chunk() {
  constexpr int width = width_of<typename X::shape>;
  require<rule::SliceRange<Op, Chunk * width, (Chunk + 1) * width, width_of<typename Mod::shape>>>();
  constexpr int chunks = width_of<typename Mod::shape>;
  using Each = std::conditional_t<Mod::shape::rank == X::shape::rank, with_width<typename X::shape, chunks>, Shape<dynamic, chunks>>;
  require<rule::SameShape<Op, typename Mod::shape, Each>>();  // one modulation a sample, or one a token
}
}  // namespace detail

/// y = (norm(x) * weight + bias) * (1 + scale) + shift (DiT's `modulate`). x: (batch, tokens, width); modulation:
/// (batch, chunks * width), (batch, tokens, chunks * width) or None, whose chunks `Shift` and `Scale` are used. x may be wide; y is not.
template <NormKind Kind, int Shift, int Scale, class Ctx, AnyValue X, class W, class Bias, class Mod>
constexpr auto modulated_norm(Ctx& ctx, const X& x, const W& weight, const Bias& bias, const Mod& modulation, double epsilon) {
  constexpr int width = width_of<typename X::shape>;
  constexpr bool modulated = !is_none<Mod>;
  require_context<name::norm, Ctx, X>();
  require<rule::StaticWidth<name::norm, width_of<typename X::shape>>>();
  if constexpr (!is_none<W>) require<rule::SameShape<name::norm, typename W::shape, Shape<width>>>();
  if constexpr (!is_none<Bias>) require<rule::SameShape<name::norm, typename Bias::shape, Shape<width>>>();
  if constexpr (modulated) {
    require_operands<name::norm, Ctx, Mod>();
    detail::require_chunk<name::norm, Shift, X, Mod>();
    detail::require_chunk<name::norm, Scale, X, Mod>();
    require_same_batch("modulated_norm", x, modulation);
  }
  auto y = ctx.template make<typename X::shape>(x.batch);
  constexpr int statistics = Kind == NormKind::layer ? 2 : 1;
  if constexpr (Ctx::counting) {
    ctx.save(x);
    if constexpr (modulated) ctx.save(modulation);
    ctx.save_statistics(rows_of(x) * statistics);
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    using S = compute_t<E>;
    const RowShape shape = detail::modulation_rows<X, Mod>(x);
    const auto chunk = [width = width](auto* base, int index) { return base ? base + Index{index} * width : nullptr; };
    const auto modulation_data = [](Ctx& c, const Mod& m) -> const E* {
      if constexpr (modulated) return c.data(m);
      else return nullptr;
    };
    const E* m = modulation_data(ctx, modulation);
    Buffer<typename Ctx::backend> kept;
    if constexpr (Ctx::recording) kept = ctx.template scratch<S>(shape.rows * statistics);
    S* rstd = static_cast<S*>(kept.data());
    S* mean = Kind == NormKind::layer && rstd ? rstd + shape.rows : nullptr;
    K::norm(ctx.device(), Kind, shape, epsilon, ctx.data(x), ctx.weight(weight), ctx.weight(bias), chunk(m, Shift), chunk(m, Scale),
            ctx.mutable_data(y), mean, rstd);
    if constexpr (Ctx::recording) {
      bool needed = ctx.flows(x) || ctx.flows(weight) || ctx.flows(bias);
      if constexpr (modulated) needed = needed || ctx.flows(modulation);
      ctx.record(y, needed, [=](Ctx& c, const E* d_y) {
        const auto [d_x, accumulate] = c.gradient(x);
        E* d_m = nullptr;
        if constexpr (modulated) d_m = c.gradient_to_add(modulation.handle.slot);
        const S* statistic = static_cast<const S*>(kept.data());
        K::norm_backward(c.device(), Kind, shape, d_y, c.data(x), c.weight(weight), c.weight(bias),
                         chunk(modulation_data(c, modulation), Scale), Kind == NormKind::layer ? statistic + shape.rows : nullptr,
                         statistic, d_x, accumulate, c.parameter_gradient(weight), c.parameter_gradient(bias), chunk(d_m, Shift),
                         chunk(d_m, Scale));
      });
    }
  }
  return y;
}

/// y = norm(x) * weight + bias over the last axis. weight, bias: (width) or None.
template <NormKind Kind, class Ctx, AnyValue X, class W, class Bias>
constexpr auto norm(Ctx& ctx, const X& x, const W& weight, const Bias& bias, double epsilon) {
  return modulated_norm<Kind, 0, 0>(ctx, x, weight, bias, None{}, epsilon);
}

/// y = x + gate * h, the gate being chunk `Gate` of the modulation (batch, chunks * width) or (batch, tokens, chunks * width), or 1
/// where that is None; x, h: (batch, tokens, width). Wide where x is.
template <int Gate, class Ctx, AnyValue X, AnyValue H, class Mod>
constexpr auto gated_residual(Ctx& ctx, const X& x, const H& h, const Mod& modulation) {
  constexpr int width = width_of<typename X::shape>;
  constexpr bool gated = !is_none<Mod>;
  require_context<name::gated_residual, Ctx, X>();
  require_operands<name::gated_residual, Ctx, H>();
  require<rule::SameShape<name::gated_residual, typename X::shape, typename H::shape>>();
  require_same_batch("gated_residual", x, h);
  if constexpr (gated) {
    require_operands<name::gated_residual, Ctx, Mod>();
    detail::require_chunk<name::gated_residual, Gate, X, Mod>();
    require_same_batch("gated_residual", x, modulation);
  }
  auto y = ctx.template make<typename X::shape, typename X::element>(x.batch);
  if constexpr (Ctx::counting) {
    if constexpr (gated) {
      ctx.save(h);
      ctx.save(modulation);
    }
  } else if constexpr (gated) {
    using K = kernels<Ctx>;
    const RowShape shape = detail::modulation_rows<X, Mod>(x);
    K::gated_residual(ctx.device(), shape, ctx.data(x), ctx.data(h), ctx.data(modulation) + Index{Gate} * width, ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(h) || ctx.flows(modulation),
                 [x_slot = x.handle.slot, h, modulation, shape](Ctx& c, auto& slot) {
                   const auto [d_h, accumulate] = c.gradient(h);
                   auto* d_gate = c.gradient_to_add(modulation.handle.slot);
                   K::gated_residual_backward(c.device(), shape, slot.data(), c.data(h), c.data(modulation) + Index{Gate} * width, d_h, accumulate,
                                              d_gate ? d_gate + Index{Gate} * width : nullptr);
                   c.move_gradient(slot, x_slot);
                 });
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    K::gated_residual(ctx.device(), RowShape{rows_of(x), width, rows_of(x)}, ctx.data(x), ctx.data(h), static_cast<const E*>(nullptr), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(h), [x_slot = x.handle.slot, h_slot = h.handle.slot](Ctx& c, auto& slot) {
        if (const auto [d_h, accumulate] = c.gradient(h_slot); d_h) K::convert(c.device(), slot.size(), static_cast<const typename X::element*>(slot.data()), d_h, accumulate);
        c.move_gradient(slot, x_slot);
      });
  }
  return y;
}

}  // namespace ops
SFUMATO_END
