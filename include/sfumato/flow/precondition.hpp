// Preconditioned x-prediction, x = c_skip z + c_out o: what JiT compares plain x-prediction with (table 10), and finds worse.
#pragma once

#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/elementwise.hpp>

#include <cmath>

SFUMATO_BEGIN

/// The coefficients of the noisy input and of the network's output at time t.
struct SkipAndOut {
  double skip, out;
};

/// EDM's (Karras et al. 2022) for z = t x + (1 - t) e, with the data's deviation 0.5; finite at t = 0 as written here.
struct EdmPrecondition {
  static SkipAndOut at(double t) {
    constexpr double deviation = 0.5;
    const double norm = deviation * deviation * t * t + (1 - t) * (1 - t);
    return {deviation * deviation * t / norm, deviation * (1 - t) / std::sqrt(norm)};
  }
};
/// c_skip = t, c_out = 1 - t.
struct LinearPrecondition {
  static SkipAndOut at(double t) { return {t, 1 - t}; }
};

/// `Model` with its output so combined. Parameter names are the model's own.
template <class Model, class Law> struct Preconditioned {
  static constexpr int classes = Model::classes, path_width = Model::path_width, token_dim = Model::token_dim;
  template <class RuleTag> static constexpr bool waives = Model::template waives<RuleTag>;
  using ImageShape = typename Model::ImageShape;
  Model model;

  static constexpr void parameters(auto& self, auto&& visit) { visit("", self.model); }

  /// As the model's: noisy samples, a time and a label for each; a prediction of clean data.
  template <class Ctx, AnyValue Z> auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    return combined(ctx, z, times, model(ctx, z, times, labels));
  }
  /// The same on symbols, for `cost_of`.
  constexpr auto operator()(Count& count, Index batch) const {
    return ops::combine_samples(count, {}, Count::input<ImageShape>(batch), {}, model(count, batch));
  }
  /// Likewise, for a model with an auxiliary classifier.
  template <class Ctx, AnyValue Z, class M = Model> requires (M::auxiliary_block > 0)
  auto with_logits(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    const auto both = model.with_logits(ctx, z, times, labels);
    const auto x = combined(ctx, z, times, both.prediction);
    return typename Model::template Both<std::remove_const_t<decltype(x)>, std::remove_const_t<decltype(both.logits)>>{x, both.logits};
  }

 private:
  template <class Ctx, AnyValue Z> auto combined(Ctx& ctx, const Z& z, std::span<const double> times, const Z& output) const {
    auto skip = ctx.workspace().template host<double>(times.size()), out = ctx.workspace().template host<double>(times.size());
    for (std::size_t b = 0; b < times.size(); ++b) {
      const SkipAndOut c = Law::at(times[b]);
      skip[b] = c.skip;
      out[b] = c.out;
    }
    return ops::combine_samples(ctx, {skip.data(), skip.size()}, z, {out.data(), out.size()}, output);
  }
};

SFUMATO_END
