// Products with a weight, and between values.
#pragma once

#include <sfumato/ops/activation.hpp>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct linear;
struct matmul;
}  // namespace name

namespace detail {
template <class P> struct WeightShape {
  static constexpr int out = extent<typename P::shape, 0>;
  static constexpr int in = static_cast<int>(P::size / out);
};

// d_x and d_weight of y = x weight^T + bias.
template <class Ctx, class X, class W, class Bias, class E>
void linear_backward(Ctx& ctx, const X& x, const W& weight, const Bias& bias, const E* d_y) {
  using K = kernels<Ctx>;
  const Index rows = rows_of(x), in = WeightShape<W>::in, out = WeightShape<W>::out;
  if (auto [d_x, accumulate] = ctx.gradient(x); d_x)
    K::matmul(ctx.device(), MatmulShape{.m = rows, .n = in, .k = out, .a_row = out, .a_col = 1, .b_row = in, .b_col = 1, .c_row = in},
              d_y, ctx.weight(weight), d_x, accumulate, nullptr, Activation::none);
  if (E* d_weight = ctx.parameter_gradient(weight))
    K::matmul(ctx.device(), MatmulShape{.m = out, .n = in, .k = rows, .a_row = 1, .a_col = out, .b_row = in, .b_col = 1, .c_row = in},
              d_y, ctx.data(x), d_weight, true, nullptr, Activation::none);
  if constexpr (!is_none<Bias>)
    if (E* d_bias = ctx.parameter_gradient(bias)) K::column_sum(ctx.device(), rows, out, d_y, d_bias);
}
}  // namespace detail

/// y = activation(x weight^T + bias). x: (..., in), weight: (out, in...), bias: (out) or None; y: (..., out).
/// `act` as in `activation`; one of the backends' own is fused into the product in inference.
template <class Ctx, AnyValue X, IsParam W, class Bias, class Act = Activation>
constexpr auto linear(Ctx& ctx, const X& x, const W& weight, const Bias& bias, Act act = {}) {
  constexpr int in = detail::WeightShape<W>::in, out = detail::WeightShape<W>::out;
  require_operands<name::linear, Ctx, X>();
  require<rule::InnerExtent<name::linear, typename X::shape, typename W::shape, width_of<typename X::shape>, in>>();
  if constexpr (!is_none<Bias>) require<rule::SameShape<name::linear, typename Bias::shape, Shape<out>>>();

  auto y = ctx.template make<with_width<typename X::shape, out>>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.macs(rows_of(x) * in * out);
    ctx.save(x);
  } else {
    constexpr bool fuse = !Ctx::recording && std::is_same_v<Act, Activation>;
    Activation fused = Activation::none;
    if constexpr (fuse) fused = act;
    kernels<Ctx>::matmul(ctx.device(), MatmulShape{.m = rows_of(x), .n = out, .k = in, .a_row = in, .a_col = 1, .b_row = 1, .b_col = in, .c_row = out},
                         ctx.data(x), ctx.weight(weight), ctx.mutable_data(y), false, ctx.weight(bias), fused);
    if constexpr (fuse) return y;
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(weight) || ctx.flows(bias),
                 [x, weight, bias](Ctx& c, const auto* d_y) { detail::linear_backward(c, x, weight, bias, d_y); });
  }
  if constexpr (std::is_same_v<Act, Activation>) return act == Activation::none ? y : activation(ctx, y, act);
  else return activation(ctx, y, act);
}

/// Batched product of two values: x: (batch, m, k), w: (batch, k, n) or, with `Transposed`, (batch, n, k); y: (batch, m, n).
template <bool Transposed = false, class Ctx, AnyValue X, AnyValue W>
constexpr auto matmul(Ctx& ctx, const X& x, const W& w) {
  using SX = typename X::shape;
  using SW = typename W::shape;
  require_operands<name::matmul, Ctx, X, W>();
  require<rule::AxisInRank<name::matmul, 2, SX::rank>, rule::AxisInRank<name::matmul, 2, SW::rank>>();
  constexpr int m = extent<SX, 1>, k = extent<SX, 2>, n = extent<SW, Transposed ? 1 : 2>;
  require<rule::InnerExtent<name::matmul, SX, SW, k, extent<SW, Transposed ? 2 : 1>>, rule::SameShape<name::matmul, Shape<extent<SX, 0>>, Shape<extent<SW, 0>>>>();

  require_same_batch("matmul", x, w);

  using Y = replace_extent<SX, 2, n>;
  auto y = ctx.template make<Y>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.macs(x.size() * n);
    ctx.save(x);
    ctx.save(w);
  } else {
    using K = kernels<Ctx>;
    const Index batch = y.size() / (Index{m} * n);
    constexpr Index w_row = Transposed ? 1 : n, w_col = Transposed ? k : 1;
    K::matmul(ctx.device(),
              MatmulShape{.m = m, .n = n, .k = k, .a_row = k, .a_col = 1, .b_row = w_row, .b_col = w_col, .c_row = n,
               .batch = batch, .a_batch = Index{m} * k, .b_batch = Index{k} * n, .c_batch = Index{m} * n},
              ctx.data(x), ctx.data(w), ctx.mutable_data(y), false, nullptr, Activation::none);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(w), [x, w, batch](Ctx& c, const auto* d_y) {
        if (auto [d_x, accumulate] = c.gradient(x); d_x)  // d_x = d_y w^T
          K::matmul(c.device(),
                    MatmulShape{.m = m, .n = k, .k = n, .a_row = n, .a_col = 1, .b_row = w_col, .b_col = w_row, .c_row = k,
                     .batch = batch, .a_batch = Index{m} * n, .b_batch = Index{k} * n, .c_batch = Index{m} * k},
                    d_y, c.data(w), d_x, accumulate, nullptr, Activation::none);
        if (auto [d_w, accumulate] = c.gradient(w); d_w) {  // d_w = x^T d_y, or d_y^T x
          if constexpr (Transposed)
            K::matmul(c.device(),
                      MatmulShape{.m = n, .n = k, .k = m, .a_row = 1, .a_col = n, .b_row = k, .b_col = 1, .c_row = k,
                       .batch = batch, .a_batch = Index{m} * n, .b_batch = Index{m} * k, .c_batch = Index{n} * k},
                      d_y, c.data(x), d_w, accumulate, nullptr, Activation::none);
          else
            K::matmul(c.device(),
                      MatmulShape{.m = k, .n = n, .k = m, .a_row = 1, .a_col = k, .b_row = n, .b_col = 1, .c_row = n,
                       .batch = batch, .a_batch = Index{m} * k, .b_batch = Index{m} * n, .c_batch = Index{k} * n},
                      c.data(x), d_y, d_w, accumulate, nullptr, Activation::none);
        }
      });
  }
  return y;
}

}  // namespace ops
SFUMATO_END
