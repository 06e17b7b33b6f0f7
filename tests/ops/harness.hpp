// Runs a case on a backend in an element type: forward, gradients, numeric gradients.
//
// The backend under test is Cpu, Cuda where SFUMATO_TEST_CUDA is defined, or what SFUMATO_TESTED_BACKEND named before this file
// was included.
#pragma once

#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/tensor/tensor.hpp>

#include "ops/cases.hpp"

#if defined(SFUMATO_TEST_CUDA)
#include "cuda/tested.hpp"
#define SFUMATO_TESTED_BACKEND cuda_test::Device
#elif !defined(SFUMATO_TESTED_BACKEND)
#define SFUMATO_TESTED_BACKEND sfumato::backend::Cpu
#endif

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ops_test {

using Tested = SFUMATO_TESTED_BACKEND;
using backend::Reference;
using Values = std::vector<double>;

inline double norm(const Values& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}
/// |a - b| / |a + b|; 0 when both vanish.
inline double relative_difference(const Values& a, const Values& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    sum += (a[i] + b[i]) * (a[i] + b[i]);
  }
  return difference == 0 ? 0 : std::sqrt(difference / sum);
}
inline void check_within(double error, double bound, const std::string& what) {
  INFO(what << ": error " << error << ", " << 100 * error / bound << " % of the tolerance");
  CHECK(error <= bound);
}

/// Uniform in [-1, 1], at least `margin` from zero, exact in bf16: every element type sees the same numbers.
inline Values values(Index n, std::uint64_t seed, std::uint32_t number, double margin = 0) {
  const Random random{seed, Stream::user, number};
  Values x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double u = 2 * random.uniform(i) - 1;
    x[i] = static_cast<double>(bf16(std::copysign(margin + (1 - margin) * std::abs(u), u)));
  }
  return x;
}

/// In the order of `x`, whole numbers over a power of two, two apart: all exact in bf16.
inline Values spread(const Values& x) {
  REQUIRE(x.size() <= 256);
  double unit = 1;
  while (unit * static_cast<double>(x.size()) > 1) unit /= 2;
  Values y;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double below = 0;
    for (std::size_t j = 0; j < x.size(); ++j) below += x[j] < x[i] || (x[j] == x[i] && j < i);
    y.push_back((2 * below + 1 - static_cast<double>(x.size())) * unit);
  }
  return y;
}

template <class E> std::vector<E> as(const Values& x) {
  std::vector<E> y;
  y.reserve(x.size());
  for (const double v : x) y.push_back(static_cast<E>(v));
  return y;
}

template <class Ctx, class V> Values host(Ctx& ctx, const V& v) {
  std::vector<typename V::element> elements(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(elements));
  return {elements.begin(), elements.end()};
}

/// A case's numbers: inputs and parameters. Output weights are drawn once the output's size is known.
template <class C> struct Problem {
  std::uint64_t seed;
  typename C::Parameters parameters;
  std::vector<Values> inputs;
  Values weights;  // the flat buffer

  explicit Problem(std::uint64_t s) : seed(s) {
    weights = values(bind(parameters), seed, 1000);
    [this]<class... S>(Inputs<S...>) { (inputs.push_back(values(C::batch * S::row, seed, std::uint32_t(inputs.size()), C::margin)), ...); }(typename C::Values{});
    if constexpr (C::distinct)
      for (Values& x : inputs) x = spread(x);
  }
  Values output_weights(std::size_t n) const { return values(Index(n), seed, 2000); }
};

template <class C> std::string name_of() {
  const std::string full = __PRETTY_FUNCTION__;  // ... [with C = ops_test::Linear<...>; ...]
  const auto begin = full.find("C = ") + 4;
  return full.substr(begin, full.find_first_of(";]", begin) - begin);
}

struct Gradients {
  Values value;
  std::vector<Values> inputs;  // empty: none arrived
  Values parameters;           // the flat buffer
};

/// Which inputs ask for a gradient, and whether the parameters do; `times`: how often the op is recorded on the same inputs.
struct Ask {
  unsigned inputs = ~0u;
  bool parameters = true;
  int times = 1;
};

/// A backend and memory for one case.
template <class C, class B, class E> class Bench {
 public:
  explicit Bench(const Problem<C>& problem) : problem_(problem), workspace_(device_), tape_(workspace_), weights_(device_, Index(problem.weights.size())), gradients_(device_, weights_.size()) {}

  Values run() { return run(problem_.inputs, problem_.weights); }
  Values run(const std::vector<Values>& inputs, const Values& weights) {
    weights_.upload(as<E>(weights));
    Run<B, E> ctx(workspace_, weights_);
    return call(ctx, inputs, [&](const auto&... x) { return host(ctx, C::build(ctx, problem_.parameters, x...)); });
  }

  /// Forward and the vector-Jacobian product with the problem's output weights.
  Gradients record(const Ask& ask = {}) {
    weights_.upload(as<E>(problem_.weights));
    Kernels<B>::fill(device_, gradients_.size(), 0.0, gradients_.data());
    const StepRandom random{7, 3, 0};
    Record<B, E> ctx = ask.parameters ? Record<B, E>(tape_, weights_, gradients_, random) : Record<B, E>(tape_, weights_, nullptr, random);
    Gradients out;
    call(ctx, problem_.inputs, [&](auto... x) {
      unsigned i = 0;
      ((ask.inputs >> i++ & 1u ? ctx.require_gradient(x) : void()), ...);
      for (int time = 0; time < ask.times; ++time) seed(ctx, C::build(ctx, problem_.parameters, x...), out);
      ctx.run_down_to(0);
      [[maybe_unused]] const auto read = [&](const auto& v) {
        Values gradient;
        if (const E* d = ctx.gradient_of(v)) {
          std::vector<E> elements(static_cast<std::size_t>(v.size()));
          Kernels<B>::download(device_, elements.data(), d, v.size());
          gradient.assign(elements.begin(), elements.end());
        }
        out.inputs.push_back(std::move(gradient));
      };
      (read(x), ...);
      return 0;
    });
    std::vector<E> parameters(static_cast<std::size_t>(gradients_.size()));
    gradients_.download(parameters);
    out.parameters.assign(parameters.begin(), parameters.end());
    return out;
  }

  /// Bytes that stay alive on the tape when nobody holds inputs and result.
  std::size_t kept_bytes() {
    weights_.upload(as<E>(problem_.weights));
    Record<B, E> ctx(tape_, weights_, gradients_, StepRandom{7, 3, 0});
    const auto forward = [&] {
      call(ctx, problem_.inputs, [&](auto... x) {
        (ctx.require_gradient(x), ...);
        return C::build(ctx, problem_.parameters, x...).size();
      });
      const std::size_t live = workspace_.pool().live_bytes();
      tape_.clear();
      return live;
    };
    forward();  // constant tables appear
    const std::size_t before = workspace_.pool().live_bytes();
    return forward() - before;
  }
  Workspace<B>& workspace() { return workspace_; }

 private:
  template <class Ctx, class F> auto call(Ctx& ctx, const std::vector<Values>& inputs, F&& f) {
    return [&]<class... S, std::size_t... I>(Inputs<S...>, std::index_sequence<I...>) {
      (void)inputs;
      return f(ops::input<S>(ctx, std::span<const double>(inputs[I]))...);
    }.template operator()(typename C::Values{}, sequence(typename C::Values{}));
  }
  template <class... S> static std::index_sequence_for<S...> sequence(Inputs<S...>) { return {}; }

  template <class Y> void seed(Record<B, E>& ctx, const Y& y, Gradients& out) {
    out.value = host(ctx, y);
    if (!y.handle.slot) return;
    using T = typename Y::element;
    const auto d = as<T>(problem_.output_weights(out.value.size()));
    const auto buffer = ctx.template scratch<T>(y.size());
    Kernels<B>::upload(device_, static_cast<T*>(buffer.data()), d.data(), y.size());
    ctx.add_gradient(static_cast<const T*>(buffer.data()), y.handle.slot);
  }

  const Problem<C>& problem_;
  B device_;
  Workspace<B> workspace_;
  Tape<B, E> tape_;
  Array<B, E> weights_, gradients_;
};

template <class List, class F> void for_each_case(F&& f) {
  const auto one = [&]<class C>(std::type_identity<C>) {
    INFO("case " << name_of<C>());
    f(std::type_identity<C>{});
  };
  [&]<class... C>(std::type_identity<std::tuple<C...>>) { (one(std::type_identity<C>{}), ...); }(std::type_identity<List>{});
}

}  // namespace ops_test
