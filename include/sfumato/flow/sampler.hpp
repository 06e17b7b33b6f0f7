// From noise to data along the learned velocity, by an ODE or with noise, with classifier-free guidance on an interval.
#pragma once

#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/schedule.hpp>
#include <sfumato/flow/solver.hpp>
#include <sfumato/ops/movement.hpp>

#include <vector>

SFUMATO_BEGIN

/// Options of `sample`.
struct SamplerOptions {
  int steps = 50;             ///< those of a ShiftedGrid end at one time more: RAE's 50 points are 49 steps
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

/// Integrates dz/dt = velocity(z, t) over the times of `Grid` by `Method`, a solver such as Euler or Heun. `step_done(i)` is called
/// after each step. `noise`: for solvers that draw.
template <class Method, class Grid = UniformGrid, class Ctx, AnyValue Z, class Velocity, class StepDone>
Z integrate(Ctx& ctx, Z z, const SamplerOptions& options, Velocity&& velocity, StepDone&& step_done, const SampleNoise& noise = {}) {
  require<rule::GridSolver<Method, Grid, Grid::even || !requires { requires Method::even_steps; }>>();
  options.validate();
  using Solver = typename Method::template Solver<Z>;
  Solver solver = [&] {
    if constexpr (requires { Solver{noise}; }) return Solver{noise};
    else return Solver{};
  }();
  for (int i = 0; i < options.steps; ++i) {
    z = solver.step(ctx, z, TimeStep{i, options.steps, Grid::time(i, options.steps), Grid::time(i + 1, options.steps)}, velocity);
    step_done(i);
  }
  return z;
}

/// Classifier-free guidance: the model itself, with the null label (Ho and Salimans 2022).
struct ClassifierFree {
  template <class Ctx, class Model, AnyValue Z>
  Z operator()(Ctx& ctx, const Model& model, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    auto null_labels = ctx.workspace().template host<int>(labels.size());
    std::fill(null_labels.begin(), null_labels.end(), Model::classes);
    return model(ctx, z, times, std::span<const int>{null_labels.data(), labels.size()});
  }
};
/// The same, with a scale of its own for the class token of REG's samples (its code: cls_cfg_scale).
template <class Entangled> struct ClassTokenGuidance : ClassifierFree {
  double scale = 0;  ///< within the interval of guidance; 0 or less: the class token is not guided

  /// guidance times c + (1 - guidance) times u.
  template <class Ctx, AnyValue Z> Z combine(Ctx& ctx, double guidance, const Z& c, const Z& u) const {
    constexpr int latent = int(Entangled::LatentShape::row), all = int(Z::shape::row);
    const auto part = [&]<int First, int Last>(double s) { return ops::combine(ctx, s, ops::slice<1, First, Last>(ctx, c), 1 - s, ops::slice<1, First, Last>(ctx, u)); };
    return ops::concat<1>(ctx, part.template operator()<0, latent>(guidance), part.template operator()<latent, all>(scale > 0 ? scale : 1));
  }
};
/// AutoGuidance (Karras et al. 2024): a weaker model, of whatever type, of the same classes and with the same labels; of the same prediction space.
template <class Weak, class Array> struct AutoGuidance {
  const Weak& model;
  const Array& weights;

  template <class Ctx, class Model, AnyValue Z>
  Z operator()(Ctx& ctx, const Model&, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    require<rule::SameClasses<Weak, Weak::classes, Model::classes>>();
    auto weak = ctx.with(weights);
    return model(weak, z, times, labels);
  }
};
template <class Weak, class Array> AutoGuidance(const Weak&, const Array&) -> AutoGuidance<Weak, Array>;

/// Velocity of a class-conditional model at (z, t), guided: v_u + w (v_c - v_u), v_u being the guide's. Where w is 1 its pass,
/// which would cancel, is left out.
template <class Ctx, class Model, class Objective, AnyValue Z, class Guide = ClassifierFree>
Z guided_velocity(Ctx& ctx, const Model& model, const Objective& objective, const Z& z, double t, std::span<const int> labels, double guidance,
                  const Guide& guide = {}) {
  const auto n = labels.size();
  auto at = ctx.workspace().template host<double>(n);
  std::fill(at.begin(), at.end(), t);
  const std::span<const double> times{at.data(), n};
  const Conversion c = convert(Objective::prediction, Space::v, t, objective.t_epsilon);
  const auto velocity = [&](const Z& output) { return ops::combine(ctx, c.output, output, c.z, z); };
  const auto conditional = velocity(model(ctx, z, times, labels));
  if (guidance == 1) return conditional;
  const auto unconditional = velocity(guide(ctx, model, z, times, labels));
  if constexpr (requires { guide.combine(ctx, guidance, conditional, unconditional); }) return guide.combine(ctx, guidance, conditional, unconditional);
  else return ops::combine(ctx, guidance, conditional, 1 - guidance, unconditional);
}

/// Labels for `count` images, equally many of each class, class by class (RAE draws 50 of each). Throws Error("sampler-options") unless they can be.
inline std::vector<int> balanced_labels(Index count, int classes) {
  check(count > 0 && classes > 0 && count % classes == 0, "sampler-options", count, " images cannot be equally many of each of ", classes, " classes");
  std::vector<int> labels(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(i / (labels.size() / static_cast<std::size_t>(classes)));
  return labels;
}

struct NoProgress {
  void operator()(int) const {}
};

/// Draws one image per label by the solver `Method` on the times of `Grid`: numbers first_image, first_image + 1, ... of `seed`. An image depends on
/// its number, its label and the options, not on the batch it is drawn in. Returns a value of `S` (batch, ...), in the data's
/// scale, not clipped. `guide` is what guidance leads away from.
template <IsShape S, class Method = Heun, class Grid = UniformGrid, class Ctx, class Model, class Objective, class Progress = NoProgress, class Guide = ClassifierFree>
auto sample(Ctx& ctx, const Model& model, const Objective& objective, std::span<const int> labels, std::uint64_t seed, Index first_image,
            const SamplerOptions& options, Progress&& progress = {}, const Guide& guide = {}) {
  options.validate();
  objective.validate();
  ops::check_labels(labels, Model::classes + 1);
  if constexpr (requires { typename Method::path; typename Objective::path; }) require<rule::SamePath<typename Method::path, typename Objective::path, std::is_same_v<typename Method::path, typename Objective::path>>>();
  // Wide, since a step adds little to what is there.
  auto z = ops::widen(ctx, ops::normal<S>(ctx, Index(labels.size()), Random{seed, Stream::sample, 0}, first_image, objective.noise_scale));
  return ops::narrow(ctx, integrate<Method, Grid>(
      ctx, std::move(z), options,
      [&](const auto& at, double t) { return ops::widen(ctx, guided_velocity(ctx, model, objective, ops::narrow(ctx, at), t, labels, options.guidance_at(t), guide)); },
      std::forward<Progress>(progress), SampleNoise{seed, first_image}));
}

SFUMATO_END
