// From noise to data along the learned velocity: ODE solvers, with classifier-free guidance on an interval.
#pragma once

#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/solver.hpp>

SFUMATO_BEGIN

/// Options of `sample`.
struct SamplerOptions {
  int steps = 50;
  double guidance = 1;        ///< w in v_u + w (v_c - v_u); 1: no guidance
  double guidance_low = 0;    ///< w applies where t < high and (low == 0 or t > low), both strict
  double guidance_high = 1;

  /// Throws Error("sampler-options") for values that mean nothing.
  void validate() const {
    check(steps > 0, "sampler-options", "the number of steps must be positive, found ", steps);
    check(std::isfinite(guidance) && guidance >= 0, "sampler-options", "the guidance scale must not be negative, nor infinite, found ", guidance);
    check(guidance_low >= 0 && guidance_low <= guidance_high && guidance_high <= 1, "sampler-options",
          "the guidance interval must satisfy 0 <= low <= high <= 1, found ", guidance_low, " and ", guidance_high);
  }
  /// The guidance scale in force at time t.
  double guidance_at(double t) const {
    return t < guidance_high && (guidance_low == 0 || t > guidance_low) ? guidance : 1;
  }
};

/// Integrates dz/dt = velocity(z, t) from t = 0 to 1 on a uniform grid by `Method`, a solver such as Euler or Heun.
/// `step_done(i)` is called after each step.
template <class Method, class Ctx, AnyValue Z, class Velocity, class StepDone>
Z integrate(Ctx& ctx, Z z, const SamplerOptions& options, Velocity&& velocity, StepDone&& step_done) {
  options.validate();
  typename Method::template Solver<Z> solver;
  for (int i = 0; i < options.steps; ++i) {
    z = solver.step(ctx, z, {i, options.steps}, velocity);
    step_done(i);
  }
  return z;
}

/// Velocity of a class-conditional model at (z, t), guided: v_u + w (v_c - v_u). Where w is 1 the unconditional pass, which
/// would cancel, is left out.
template <class Ctx, class Model, class Objective, AnyValue Z>
Z guided_velocity(Ctx& ctx, const Model& model, const Objective& objective, const Z& z, double t, std::span<const int> labels, double guidance) {
  const auto n = labels.size();
  auto times = ctx.workspace().template host<double>(n);
  auto null_labels = ctx.workspace().template host<int>(n);
  std::fill(times.begin(), times.end(), t);
  std::fill(null_labels.begin(), null_labels.end(), Model::classes);
  const Conversion c = convert(Objective::prediction, Space::v, t, objective.t_epsilon);
  const auto velocity = [&](std::span<const int> y) {
    return ops::combine(ctx, c.output, model(ctx, z, std::span<const double>{times.data(), n}, y), c.z, z);
  };
  const auto conditional = velocity(labels);
  if (guidance == 1) return conditional;
  return ops::combine(ctx, guidance, conditional, 1 - guidance, velocity({null_labels.data(), n}));
}

struct NoProgress {
  void operator()(int) const {}
};

/// Draws one image per label by the solver `Method`: numbers first_image, first_image + 1, ... of `seed`. An image depends on
/// its number, its label and the options, not on the batch it is drawn in. Returns a value of `S` (batch, ...), in the data's
/// scale, not clipped.
template <IsShape S, class Method = Heun, class Ctx, class Model, class Objective, class Progress = NoProgress>
auto sample(Ctx& ctx, const Model& model, const Objective& objective, std::span<const int> labels, std::uint64_t seed, Index first_image,
            const SamplerOptions& options, Progress&& progress = {}) {
  options.validate();
  objective.validate();
  ops::check_labels(labels, Model::classes + 1);
  auto z = ops::normal<S>(ctx, Index(labels.size()), Random{seed, Stream::sample, 0}, first_image, objective.noise_scale);
  return integrate<Method>(
      ctx, std::move(z), options,
      [&](const auto& at, double t) { return guided_velocity(ctx, model, objective, at, t, labels, options.guidance_at(t)); },
      std::forward<Progress>(progress));
}

SFUMATO_END
