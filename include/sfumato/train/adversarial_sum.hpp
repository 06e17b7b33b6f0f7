// An adversary's opinion beside a reconstruction's loss, weighed by how strongly each moves the last layer (Esser et al. 2021, arXiv 2012.09841, equation 7).
#pragma once

#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/ops/elementwise.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

SFUMATO_BEGIN

/// How an adversary's opinion is weighed.
struct AdversarialWeight {
  double weight = 0.75;                  ///< before the adaptive one
  double largest_adaptive = 1e4;
  std::optional<double> adaptive = {};   ///< in place of |d last layer reconstruction| / |d last layer opinion|
  Index from = 0;                        ///< the first step, counted from 0, that it takes part in

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective.adversarial.weight", weight);
    visit("objective.adversarial.from", from);
    visit("objective.adversarial.largest_adaptive", largest_adaptive);
    if (adaptive) visit("objective.adversarial.adaptive", *adaptive);
  }
  /// Throws Error("objective-options") for values that mean nothing.
  void validate() const {
    for (const auto& [value, what] : {std::pair{weight, "weight"}, {largest_adaptive, "largest_adaptive"}, {adaptive.value_or(0), "adaptive"}})
      check(std::isfinite(value) && value >= 0, "objective-options", "adversarial.", what, " must be finite and not negative, found ", value);
    check(from >= 0, "objective-options", "adversarial.from must not be negative, found ", from);
  }
};

/// reconstruction(ctx, made) + weight opinion(ctx, made), each a wide scalar, in each micro-batch with its own weight. `last_gradient` makes of d made the gradient of the
/// last layer's weight.
template <class Ctx, AnyValue Made, class Reconstruction, class Opinion, class LastGradient>
auto adversarial_sum(Ctx& ctx, const Made& made, const AdversarialWeight& by, const Reconstruction& reconstruction, const Opinion& opinion, const LastGradient& last_gradient) {
  // One branch to the tape: what is recorded before `made` is the same with and without an adversary.
  const auto faithful = ops::value_and_gradient(ctx, reconstruction, made);
  if (Index(ctx.random.step) < by.from) return ops::with_gradient(ctx, faithful.value, made, faithful.gradient);
  const auto against = ops::value_and_gradient(ctx, opinion, made);
  const auto pull = [&](const auto& gradient) {
    const auto d_weight = last_gradient(gradient);
    return std::sqrt(ops::kernels<Ctx>::squared_norm(ctx.device(), d_weight.size(), ctx.data(d_weight)));
  };
  const double weight = by.weight * (by.adaptive ? *by.adaptive : std::clamp(pull(faithful.gradient) / (pull(against.gradient) + 1e-6), 0.0, by.largest_adaptive));
  return ops::with_gradient(ctx, ops::combine(ctx, 1, faithful.value, weight, against.value), made, ops::combine(ctx, 1, faithful.gradient, weight, against.gradient));
}

SFUMATO_END
