// Scalars to minimise.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/ops/operands.hpp>

#include <algorithm>
#include <span>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct weighted_mse;
struct cross_entropy;
}  // namespace name

/// Throws Error("label-range") unless every label is in [0, classes).
inline void check_labels(std::span<const int> labels, int classes) {
  for (std::size_t i = 0; i < labels.size(); ++i)
    check(labels[i] >= 0 && labels[i] < classes, "label-range", "label ", labels[i], " of sample ", i, " is outside 0..", classes - 1);
}

/// mean_b weight[b] mean_j (x - target)^2: a squared error in a prediction's space, weighted by sample. A wide scalar.
template <class Ctx, AnyValue X, AnyValue Y>
constexpr auto weighted_mse(Ctx& ctx, const X& x, const Y& target, std::span<const double> weight) {
  require_operands<name::weighted_mse, Ctx, X, Y>();
  require<rule::SameShape<name::weighted_mse, typename X::shape, typename Y::shape>>();
  check(x.batch == target.batch && Index(weight.size()) == x.batch, "batch", "weighted_mse has predictions, targets and weights for ",
        x.batch, ", ", target.batch, " and ", weight.size(), " samples");
  auto loss = ctx.template make<Shape<>, typename Ctx::wide>(1);
  if constexpr (Ctx::counting) {
    ctx.save(x);
    ctx.save(target);
  } else {
    using K = kernels<Ctx>;
    K::weighted_mse(ctx.device(), x.batch, X::shape::row, ctx.data(x), ctx.data(target), weight.data(), ctx.mutable_data(loss));
    if constexpr (Ctx::recording) {
      auto w = ctx.workspace().host_copy(weight);
      ctx.record(loss, ctx.flows(x) || ctx.flows(target), [x, target, w](Ctx& c, const auto* d_loss) {
        // The kernel writes both sides with one flag; a target that needs a gradient gets its own, negated.
        if (auto [d_x, accumulate] = c.gradient(x); d_x)
          K::weighted_mse_backward(c.device(), x.batch, X::shape::row, d_loss, c.data(x), c.data(target), w.data(), d_x, nullptr, accumulate);
        if (auto [d_t, accumulate] = c.gradient(target); d_t)
          K::weighted_mse_backward(c.device(), x.batch, X::shape::row, d_loss, c.data(target), c.data(x), w.data(), d_t, nullptr, accumulate);
      });
    }
  }
  return loss;
}

/// mean (x - target)^2: every sample weighs the same. A wide scalar.
template <class Ctx, AnyValue X, AnyValue Y> constexpr auto mse(Ctx& ctx, const X& x, const Y& target) {
  const auto n = std::size_t(x.batch);
  if constexpr (Ctx::counting) {
    return weighted_mse(ctx, x, target, std::span(static_cast<const double*>(nullptr), n));
  } else {
    const auto ones = ctx.workspace().template host<double>(n);
    std::fill(ones.begin(), ones.end(), 1.0);
    return weighted_mse(ctx, x, target, std::span<const double>{ones.data(), n});
  }
}

/// Mean cross-entropy of logits (batch, classes) with integer labels. A wide scalar. Throws Error("label-range").
template <class Ctx, AnyValue X> constexpr auto cross_entropy(Ctx& ctx, const X& logits, std::span<const int> labels) {
  constexpr int classes = width_of<typename X::shape>;
  require_operands<name::cross_entropy, Ctx, X>();
  require<rule::StaticWidth<name::cross_entropy, classes>>();
  check(Index(labels.size()) == rows_of(logits), "batch", "cross_entropy has ", labels.size(), " labels for ", rows_of(logits), " rows");
  auto loss = ctx.template make<Shape<>, typename Ctx::wide>(1);
  if constexpr (Ctx::counting) {
    ctx.save_elements(logits.size());
  } else {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    check_labels(labels, classes);
    auto probabilities = ctx.scratch(logits.size());
    K::cross_entropy(ctx.device(), rows_of(logits), Index{classes}, ctx.data(logits), labels.data(), static_cast<E*>(probabilities.data()), ctx.mutable_data(loss));
    if constexpr (Ctx::recording) {
      auto kept = ctx.workspace().host_copy(labels);
      ctx.record(loss, ctx.flows(logits), [slot = logits.handle.slot, rows = rows_of(logits), probabilities, kept](Ctx& c, const auto* d_loss) {
        const auto [d_x, accumulate] = c.gradient(slot);
        K::cross_entropy_backward(c.device(), rows, Index{classes}, d_loss, static_cast<const E*>(probabilities.data()), kept.data(), d_x, accumulate);
      });
    }
  }
  return loss;
}

}  // namespace ops
SFUMATO_END
