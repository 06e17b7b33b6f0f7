// The objective of classifiers.
#pragma once

#include <sfumato/ops/loss.hpp>

SFUMATO_BEGIN

/// Mean cross-entropy of `model(ctx, samples)`, logits (batch, classes), and the labels.
struct Classification {
  template <class Visit> void for_each_option(Visit&& visit) const { visit("objective", "classification"); }
  template <class Ctx, class Model, AnyValue X> auto loss(Ctx& ctx, const Model& model, const X& x, std::span<const int> labels) const {
    return ops::cross_entropy(ctx, model(ctx, x), labels);
  }
};

SFUMATO_END
