// A small Transformer with everything in it that draws, joins and recomputes, and one step of it.
#pragma once

#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/ops/loss.hpp>
#include <sfumato/tensor/tensor.hpp>
#include <sfumato/train/weights.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace autodiff_test {

using namespace sfumato;
using backend::Cpu;
using Ctx = Record<Cpu>;
using Numbers = std::vector<float>;

inline Numbers numbers(Index n, std::uint64_t seed) {
  Numbers x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(2 * Random{seed, Stream::user, 0}.uniform(i) - 1);
  return x;
}

template <class C, class V> Numbers host(C& ctx, const V& v) {
  Numbers out(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(out));
  return out;
}
/// The gradient at an input; empty where none arrived.
template <class V> Numbers gradient(Ctx& ctx, const V& v) {
  const float* d = ctx.gradient_of(v);
  return d ? Numbers(d, d + v.size()) : Numbers{};
}
inline bool all_zero(const Numbers& x) { return std::all_of(x.begin(), x.end(), [](float v) { return v == 0; }); }

template <class... More>
using Trunk = Transformer<16, 3, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<4, 1>, Dropout<std::ratio<1, 4>, 0, 3>, More...>;

/// A model, its weights and gradients, a tape.
template <class Model> struct Training {
  Cpu device{1};
  Workspace<Cpu> workspace{device};
  Tape<Cpu> tape{workspace};
  Weights<Model, Cpu> weights{device};
  Array<Cpu, float> gradients{device, weights.size()};

  Training() { weights.values().upload(numbers(weights.size(), 1)); }  // not the initial ones: gates start at zero
  Ctx context(std::uint32_t step = 0) { return {tape, weights.data(), gradients.data(), {5, step, 0}}; }
  Numbers parameter_gradients() const {
    Numbers out(static_cast<std::size_t>(gradients.size()));
    gradients.download(out);
    return out;
  }
  void zero() { Kernels<Cpu>::fill(device, gradients.size(), 0.0, gradients.data()); }
  std::size_t live() { return workspace.pool().live_bytes(); }
};

template <IsShape S> auto input(auto& ctx, Index batch, std::uint64_t seed) {
  const Numbers x = numbers(batch * S::row, seed);
  return ops::input<S>(ctx, std::span<const float>(x));
}
inline const std::vector<double> unit_weights(16, 1.0);
/// A scalar: the mean square of the difference to fixed numbers.
auto loss_of(auto& ctx, const auto& y) {
  using S = typename std::remove_cvref_t<decltype(y)>::shape;
  return ops::weighted_mse(ctx, y, input<S>(ctx, y.batch, 99), std::span(unit_weights).first(std::size_t(y.batch)));
}

/// What one step of a trunk leaves.
struct Step {
  Numbers value, d_x, d_condition, d_context, d_parameters;
  bool operator==(const Step&) const = default;
};
template <class Model> Step step(Training<Model>& training, std::uint32_t number = 0) {
  training.zero();
  Ctx ctx = training.context(number);
  auto x = input<Shape<dynamic, 4, 16>>(ctx, 2, 10);
  auto condition = input<Shape<dynamic, 16>>(ctx, 2, 11);
  auto context = input<Shape<dynamic, 4, 16>>(ctx, 2, 12);
  ctx.require_gradient(x);
  ctx.require_gradient(condition);
  ctx.require_gradient(context);
  const auto y = training.weights.model()(ctx, x, condition, context);
  Step out;
  out.value = host(ctx, y);
  ctx.backward(loss_of(ctx, y));
  out.d_x = gradient(ctx, x), out.d_condition = gradient(ctx, condition), out.d_context = gradient(ctx, context);
  out.d_parameters = training.parameter_gradients();
  return out;
}

}  // namespace autodiff_test
