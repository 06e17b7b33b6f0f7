// What a flow model is trained on: prediction space, loss space and time law are types, so that soundness can be asked
// of a model and its objective together.
#pragma once

#include <sfumato/base/rules.hpp>
#include <sfumato/flow/space.hpp>
#include <sfumato/flow/time_law.hpp>
#include <sfumato/ops/elementwise.hpp>
#include <sfumato/ops/embedding.hpp>
#include <sfumato/ops/loss.hpp>

SFUMATO_BEGIN

namespace detail {
/// Of a training step.
template <class Ctx> Random stream(const Ctx& ctx, Stream s) { return {ctx.random.seed, s, ctx.random.step}; }
/// A time for each of `n` samples, by their numbers. In host memory of the context's workspace.
template <TimeLaw Times, class Ctx> auto drawn_times(Ctx& ctx, std::size_t n) {
  auto times = ctx.workspace().template host<double>(n);
  for (std::size_t b = 0; b < n; ++b) times[b] = Times::sample(stream(ctx, Stream::time), static_cast<std::uint64_t>(ctx.random.first_sample) + b);
  return times;
}
/// The labels, some of them the null class: each with probability `dropout`. Likewise.
template <class Ctx> auto dropped_labels(Ctx& ctx, std::span<const int> labels, int null_class, double dropout) {
  auto kept = ctx.workspace().template host<int>(labels.size());
  for (std::size_t b = 0; b < labels.size(); ++b)
    kept[b] = stream(ctx, Stream::label_dropout).uniform(static_cast<std::uint64_t>(ctx.random.first_sample) + b) < dropout ? null_class : labels[b];
  return kept;
}
}  // namespace detail

/// The network predicts in `PredSpace`; the squared error is taken in `LossSpace` (JiT, table 1: all nine pairs).
template <Space PredSpace, Space LossSpace = Space::v, TimeLaw Times = LogitNormal<>> struct FlowObjective {
  static constexpr Space prediction = PredSpace, loss_space = LossSpace;

  double noise_scale = 1;                    ///< standard deviation of the noise; JiT: image size / 256
  double t_epsilon = default_t_epsilon;      ///< clamp of the divisors 1 - t and t
  double label_dropout = 0.1;                ///< probability that a label becomes the null class
  /// Weight of an auxiliary classifier's cross-entropy, against the *sum* of squared errors (JiT, table 11), in models with one.
  double auxiliary_weight = 100;

  /// Calls visit(name, value) for everything that the loss depends on.
  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective", "flow");
    visit("objective.prediction", name_of(PredSpace));
    visit("objective.loss", name_of(LossSpace));
    visit("objective.times", Times::name);
    if constexpr (requires { Times{}.for_each_option(visit); }) Times{}.for_each_option(visit);
    visit("objective.noise_scale", noise_scale);
    visit("objective.t_epsilon", t_epsilon);
    visit("objective.label_dropout", label_dropout);
    visit("objective.auxiliary_weight", auxiliary_weight);
  }
  /// Throws Error("objective-options") for values that mean nothing.
  void validate() const {
    check(std::isfinite(noise_scale) && noise_scale > 0, "objective-options", "noise_scale must be finite and positive, found ", noise_scale);
    check(t_epsilon > 0 && t_epsilon <= 1, "objective-options", "t_epsilon must be in (0, 1], found ", t_epsilon);
    check(label_dropout >= 0 && label_dropout <= 1, "objective-options", "label_dropout must be in [0, 1], found ", label_dropout);
    check(std::isfinite(auxiliary_weight) && auxiliary_weight >= 0, "objective-options", "auxiliary_weight must be finite and not negative, found ", auxiliary_weight);
  }

  /// Whether the model's narrowest place on the way out can carry what this objective asks for.
  template <class Model> static constexpr bool fits = PredSpace == Space::x || Model::path_width >= Model::token_dim;

  /// Compile-time soundness of `Model` under this objective; a model may waive the rule by name.
  template <class Model> static constexpr void require_sound() {
    if constexpr (PredSpace != Space::x && !Model::template waives<rule::output_path>)
      require<rule::OutputPath<Model::path_width, Model::token_dim>>();
  }

  /// The loss of one batch, a scalar value of `ctx`, ready for `ctx.backward`.
  ///
  /// `model` is called as model(ctx, z, times, labels). x: clean data (batch, ...), scaled to [-1, 1]; labels: one per sample,
  /// in [0, Model::classes). Times, noise and label dropout depend on ctx.random and the sample's number alone.
  template <class Ctx, class Model, AnyValue X>
  auto loss(Ctx& ctx, const Model& model, const X& x, std::span<const int> labels) const {
    require_sound<Model>();
    validate();
    using S = typename X::shape;
    ops::check_labels(labels, Model::classes);
    check(Index(labels.size()) == x.batch, "batch", "there are ", labels.size(), " labels for a batch of ", x.batch);
    const auto n = labels.size();
    const auto times = detail::drawn_times<Times>(ctx, n);
    const auto kept_labels = detail::dropped_labels(ctx, labels, Model::classes, label_dropout);
    auto rest = ctx.workspace().template host<double>(n), weight = ctx.workspace().template host<double>(n);
    for (std::size_t b = 0; b < n; ++b) {
      rest[b] = 1 - times[b];
      weight[b] = loss_weight(PredSpace, LossSpace, times[b], t_epsilon);
    }
    const std::span<const double> t{times.data(), n}, one_minus_t{rest.data(), n}, w{weight.data(), n};
    const auto e = ops::normal<S>(ctx, x.batch, detail::stream(ctx, Stream::noise), ctx.random.first_sample, noise_scale);
    const auto z = ops::combine_samples(ctx, t, x, one_minus_t, e);
    const std::span<const int> shown{kept_labels.data(), n};
    const auto target = [&] {
      if constexpr (PredSpace == Space::x) return x;
      else if constexpr (PredSpace == Space::eps) return e;
      else return ops::subtract(ctx, x, e);
    }();
    if constexpr (requires { model.with_logits(ctx, z, t, shown); }) {
      const auto [output, logits] = model.with_logits(ctx, z, t, shown);
      const auto flow = ops::weighted_mse(ctx, output, target, w);
      return ops::combine(ctx, 1, flow, auxiliary_weight / double(S::row), ops::cross_entropy(ctx, logits, labels));
    } else {
      return ops::weighted_mse(ctx, model(ctx, z, t, shown), target, w);
    }
  }
};

SFUMATO_END
