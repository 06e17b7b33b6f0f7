// Multi-head attention without the score matrix, on a packed projection or on separate q, k, v.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/ops/operands.hpp>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct attention;
}  // namespace name

namespace detail {
constexpr double inverse_sqrt(int n) {
  double x = n > 1 ? n / 2.0 : 1.0;  // Newton: std::sqrt is not constexpr
  for (int i = 0; i < 64; ++i) x = 0.5 * (x + n / x);
  return 1 / x;
}

// Self-attention on one projection: the kernels of both passes, and what the first leaves for the second.
template <class Ctx, int Heads, class Table, AnyValue Qkv, class QW, class KW> struct SelfAttention {
  using K = kernels<Ctx>;
  using E = typename Ctx::element;
  using Kept = compute_t<E>;
  using Bytes = Buffer<typename Ctx::backend>;
  static constexpr int tokens = extent<typename Qkv::shape, 1>, width = extent<typename Qkv::shape, 2> / 3, head_dim = width / Heads;
  /// Whether q and k are normed or turned first, into `qk`, rows of 2 width.
  static constexpr bool rotary = !is_none<Table>, prepares = rotary || !is_none<QW>;

  Qkv qkv;
  QW q_norm;
  KW k_norm;
  double epsilon;
  Bytes qk{}, rstd{}, lse{};  // (rows, 2 width), (rows, 2, Heads), (batch, Heads, tokens)

  Index rows() const { return qkv.batch * tokens; }
  QkShape qk_shape() const { return {rows(), tokens, Heads, head_dim, epsilon}; }
  AttentionShape shape() const {
    constexpr Index qk_row = prepares ? 2 * width : 3 * width;
    return {qkv.batch, Heads, tokens, tokens, head_dim, qk_row * tokens, qk_row, qk_row * tokens, qk_row,
            Index{3} * width * tokens, 3 * width, Index{width} * tokens, width, inverse_sqrt(head_dim)};
  }
  static const E* table(Ctx& ctx) {
    if constexpr (rotary) return ctx.data(ctx.template constant<Table>());
    else return nullptr;
  }
  const E* q(Ctx& ctx) const { return prepares ? static_cast<const E*>(qk.data()) : ctx.data(qkv); }
  const E* v(Ctx& ctx) const { return ctx.data(qkv) + 2 * width; }

  void forward(Ctx& ctx, E* y) {
    if constexpr (prepares) {
      qk = ctx.scratch(rows() * 2 * width);
      if constexpr (Ctx::recording && !is_none<QW>) rstd = ctx.template scratch<Kept>(rows() * 2 * Heads);
      K::qk_norm_rotary(ctx.device(), qk_shape(), ctx.data(qkv), ctx.weight(q_norm), ctx.weight(k_norm), table(ctx), static_cast<E*>(qk.data()),
                        static_cast<Kept*>(rstd.data()));
    }
    if constexpr (Ctx::recording) lse = ctx.template scratch<Kept>(rows() * Heads);
    K::attention(ctx.device(), shape(), q(ctx), q(ctx) + width, v(ctx), y, static_cast<Kept*>(lse.data()));
  }

  void backward(Ctx& ctx, const E* y, const E* d_y) const {
    const auto [d_qkv, accumulate] = ctx.gradient(qkv);
    const auto attend = [&](E* d_q, E* d_v, bool add) {
      K::attention_backward(ctx.device(), shape(), d_y, q(ctx), q(ctx) + width, v(ctx), y, static_cast<const Kept*>(lse.data()), d_q, d_q + width,
                            d_v, add);
    };
    if constexpr (!prepares) {
      attend(d_qkv, d_qkv + 2 * width, accumulate);
    } else {
      // The gradients of q and k pass through the rotation and the norm. A second gradient is added whole; where only the
      // norm's weights are trained, qkv's own is computed and dropped.
      const Bytes d_qk = ctx.scratch(rows() * 2 * width);
      Bytes apart;
      if (accumulate || !d_qkv) apart = ctx.scratch(rows() * 3 * width);
      E* const into = apart ? static_cast<E*>(apart.data()) : d_qkv;
      E* const d_q = static_cast<E*>(d_qk.data());
      attend(d_q, into + 2 * width, false);
      K::qk_norm_rotary_backward(ctx.device(), qk_shape(), static_cast<const E*>(d_q), ctx.data(qkv), ctx.weight(q_norm), ctx.weight(k_norm),
                                 table(ctx), static_cast<const Kept*>(rstd.data()), into, false, ctx.parameter_gradient(q_norm),
                                 ctx.parameter_gradient(k_norm));
      if (accumulate) ctx.add_gradient(static_cast<const E*>(into), qkv.handle.slot);
    }
  }
};
}  // namespace detail

/// Self-attention on qkv = [q | k | v], each head-major, with optional RMS norm over the head width on q and k (weights of
/// length head width, shared by the heads) and then rotary embedding. qkv: (batch, tokens, 3 width); y: (batch, tokens, width).
/// `Table` is None or a type with rows = tokens, width = head width: cos and sin at the even and odd places of each pair.
template <int Heads, class Table = None, class Ctx, AnyValue Qkv, class QW, class KW>
constexpr auto self_attention(Ctx& ctx, const Qkv& qkv, const QW& q_norm, const KW& k_norm, double epsilon) {
  using S = typename Qkv::shape;
  require_operands<name::attention, Ctx, Qkv>();
  require<rule::BatchedRank<name::attention, S, 3>>();
  constexpr int tokens = extent<S, 1>, width = extent<S, 2> / 3, head_dim = width / Heads;
  require<rule::PackedWidth<name::attention, extent<S, 2>, 3>, rule::HeadsDivideWidth<width, Heads>>();
  if constexpr (!is_none<Table>) {
    require<rule::RotaryHeadDim<head_dim>>();
    require<rule::SameShape<name::attention, Shape<Table::rows, Table::width>, Shape<tokens, head_dim>>>();
  }
  require<rule::QkWeights<is_none<QW>, is_none<KW>>>();
  if constexpr (!is_none<QW>)
    require<rule::SameShape<name::attention, typename QW::shape, Shape<head_dim>>, rule::SameShape<name::attention, typename KW::shape, Shape<head_dim>>>();

  auto y = ctx.template make<replace_extent<S, 2, width>>(qkv.batch);
  if constexpr (Ctx::counting) {
    const Index rows = qkv.batch * tokens;
    ctx.macs(2 * rows * tokens * width);
    ctx.save(qkv);
    ctx.save(y);
    if constexpr (!is_none<Table> || !is_none<QW>) ctx.save_elements(rows * 2 * width);
    if constexpr (!is_none<QW>) ctx.save_statistics(rows * 2 * Heads);
    ctx.save_statistics(rows * Heads);
  } else {
    detail::SelfAttention<Ctx, Heads, Table, Qkv, QW, KW> pass{qkv, q_norm, k_norm, epsilon};
    pass.forward(ctx, ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(qkv) || ctx.flows(q_norm) || ctx.flows(k_norm),
                 [pass, out = y](Ctx& c, const auto* d_y) { pass.backward(c, c.data(out), d_y); });
  }
  return y;
}

/// softmax(q k^T / sqrt(head width)) v on separate values. q: (batch, queries, width), k and v: (batch, keys, width).
template <int Heads, class Ctx, AnyValue Q, AnyValue KV, AnyValue V>
constexpr auto attention(Ctx& ctx, const Q& q, const KV& k, const V& v) {
  using S = typename Q::shape;
  require_operands<name::attention, Ctx, Q, KV, V>();
  require<rule::SameShape<name::attention, typename KV::shape, typename V::shape>>();
  require<rule::BatchedRank<name::attention, S, 3>, rule::BatchedRank<name::attention, typename KV::shape, 3>>();
  constexpr int queries = extent<S, 1>, width = extent<S, 2>, keys = extent<typename KV::shape, 1>;
  require<rule::InnerExtent<name::attention, S, typename KV::shape, width, extent<typename KV::shape, 2>>, rule::HeadsDivideWidth<width, Heads>>();
  require_same_batch("attention", q, k, v);
  auto y = ctx.template make<S>(q.batch);
  if constexpr (Ctx::counting) {
    ctx.macs(2 * q.size() * keys);
    ctx.save(q);
    ctx.save(k);
    ctx.save(v);
    ctx.save(y);
    ctx.save_statistics(q.batch * queries * Heads);
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    using Kept = compute_t<E>;
    constexpr Index row = width;
    const AttentionShape shape{q.batch, Heads, queries, keys, width / Heads, row * queries, row, row * keys, row,
                               row * keys, row, row * queries, row, detail::inverse_sqrt(width / Heads)};
    Buffer<typename Ctx::backend> lse;
    if constexpr (Ctx::recording) lse = ctx.template scratch<Kept>(q.batch * queries * Heads);
    K::attention(ctx.device(), shape, ctx.data(q), ctx.data(k), ctx.data(v), ctx.mutable_data(y), static_cast<Kept*>(lse.data()));
    if constexpr (Ctx::recording) {
      const auto out = y;
      ctx.record(y, ctx.flows(q) || ctx.flows(k) || ctx.flows(v), [=](Ctx& c, const E* d_y) {
        auto d_q = c.scratch(q.size()), d_k = c.scratch(k.size()), d_v = c.scratch(v.size());
        const auto at = [](auto& buffer) { return static_cast<E*>(buffer.data()); };
        K::attention_backward(c.device(), shape, d_y, c.data(q), c.data(k), c.data(v), c.data(out), static_cast<const Kept*>(lse.data()),
                              at(d_q), at(d_k), at(d_v), false);
        c.add_gradient(at(d_q), q.handle.slot);
        c.add_gradient(at(d_k), k.handle.slot);
        c.add_gradient(at(d_v), v.handle.slot);
      });
    }
  }
  return y;
}

}  // namespace ops
SFUMATO_END
