// Solvers: how one step of the sampler goes from z(t) to z(t + dt).
//
// A solver is a struct with a `template <class Z> struct Solver`, made afresh for each trajectory, so that it may remember
// earlier velocities; of SampleNoise where it draws. `step(ctx, z, step, velocity)` returns the next z; `velocity(z, t)` is one evaluation of the model, or two
// where it is guided. Values are handles: keeping one costs no copy.
#pragma once

#include <sfumato/flow/path.hpp>
#include <sfumato/ops/elementwise.hpp>
#include <sfumato/ops/embedding.hpp>

#include <array>

SFUMATO_BEGIN

/// Step `number` of `steps`, from one time of a grid to the next.
struct TimeStep {
  int number, steps;
  double begin, end;

  double time() const { return begin; }
  double next() const { return end; }
  double size() const { return next() - time(); }
  bool last() const { return number + 1 == steps; }
};

/// First order, one evaluation a step.
struct Euler {
  template <class Z> struct Solver {
    template <class Ctx, class Velocity> Z step(Ctx& ctx, const Z& z, TimeStep at, Velocity&& velocity) {
      return ops::combine(ctx, 1, z, at.size(), velocity(z, at.time()));
    }
  };
};

/// Second order, two evaluations a step; the last step is Euler's, as in JiT (table 9).
struct Heun {
  template <class Z> struct Solver {
    template <class Ctx, class Velocity> Z step(Ctx& ctx, const Z& z, TimeStep at, Velocity&& velocity) {
      const auto v = velocity(z, at.time());
      const auto guess = ops::combine(ctx, 1, z, at.size(), v);
      if (at.last()) return guess;
      return ops::combine(ctx, 1, z, at.size(), ops::combine(ctx, 0.5, v, 0.5, velocity(guess, at.next())));
    }
  };
};

/// Third order from the velocities of the last three steps, one evaluation a step; the first two steps are the midpoint
/// method's, with two each (Adams and Bashforth 1883). Where guidance switches on or off, the velocity jumps and the order drops.
struct AdamsBashforth3 {
  static constexpr bool even_steps = true;  ///< its weights are for steps of one size
  template <class Z> struct Solver {
    template <class Ctx, class Velocity> Z step(Ctx& ctx, const Z& z, TimeStep at, Velocity&& velocity) {
      const double dt = at.size();
      const auto v = velocity(z, at.time());
      Z direction = v;
      if (at.number < 2) direction = velocity(ops::combine(ctx, 1, z, dt / 2, v), at.time() + dt / 2);
      else direction = ops::combine(ctx, 1, ops::combine(ctx, 23.0 / 12, v, -16.0 / 12, earlier[0]), 5.0 / 12, earlier[1]);
      earlier = {v, earlier[0]};
      return ops::combine(ctx, 1, z, dt, direction);
    }
    std::array<Z, 2> earlier{};  ///< velocities, the latest first
  };
};

/// The images that a solver draws noise for: number `first` of `seed` and on.
struct SampleNoise {
  std::uint64_t seed = 0;
  Index first = 0;
};

/// The reverse of a diffusion of coefficient w = 2 (1 - t) whose marginals are `Way`'s: dz = (v + w/2 score) dt + sqrt(w) dW, the score from the
/// velocity (SiT, section 2.3; Euler and Maruyama). The last step draws nothing. REG's code on any path; its paper prints half of this w. On
/// LastStepGrid: the score is not defined at t = 1.
template <Path Way = LinearPath> struct EulerMaruyama {
  using path = Way;
  template <class Z> struct Solver {
    SampleNoise noise;

    template <class Ctx, class Velocity> Z step(Ctx& ctx, const Z& z, TimeStep at, Velocity&& velocity) {
      const double w = 2 * (1 - at.time()), dt = at.size();
      const PathPoint::Score score = Way::at(at.time()).score();
      const auto next = ops::combine(ctx, 1 + 0.5 * w * score.z * dt, z, (1 + 0.5 * w * score.velocity) * dt, velocity(z, at.time()));
      if (at.last()) return next;
      return ops::add(ctx, next, ops::widen(ctx, ops::normal<typename Z::shape>(ctx, z.batch, Random{noise.seed, Stream::sample, static_cast<std::uint32_t>(at.number) + 1}, noise.first, std::sqrt(w * dt))));
    }
  };
};

SFUMATO_END
