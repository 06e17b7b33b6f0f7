// How weights follow their gradients: what an optimiser is given and must offer, and AdamW.
#pragma once

#include <sfumato/backend/workspace.hpp>
#include <sfumato/tensor/param.hpp>

#include <array>
#include <cmath>
#include <concepts>
#include <span>

SFUMATO_BEGIN

/// One step as an optimiser sees it. All pointers are to flat buffers of one layout, of which it touches the places of
/// `parameters` alone; it moves the two averages of the weights with them.
template <Backend B, Element E> struct OptimiserStep {
  Workspace<B>& workspace;
  std::span<const ParameterInfo* const> parameters;  ///< to be updated, by ascending offset
  E* weights;
  const E* gradients;
  std::span<E* const> state;                  ///< the optimiser's own buffers, zero at first, in the order of its `state`
  E *ema1, *ema2;
  double ema1_decay, ema2_decay;
  double rate;                                ///< learning rate
  double gradient_scale;                      ///< multiplies the gradient first (clipping)
  Index number;                               ///< 1 in the first step

  B& device() const { return workspace.backend(); }
  /// Room for n elements on the device, until the buffer dies.
  Buffer<B> scratch(Index n) const { return workspace.pool().acquire(static_cast<std::size_t>(n) * sizeof(E)); }

  /// Calls f(begin, size, key(parameter)) for each run of neighbours with equal keys, so that one pass serves many parameters.
  template <class Key, class F> void for_each_run(const Key& key, const F& f) const {
    for (std::size_t i = 0; i < parameters.size();) {
      const Index begin = parameters[i]->offset;
      const auto same = key(*parameters[i]);
      Index end = begin + parameters[i]->size;
      for (++i; i < parameters.size() && key(*parameters[i]) == same && parameters[i]->offset - end < parameter_alignment; ++i)
        end = parameters[i]->offset + parameters[i]->size;
      f(begin, end - begin, same);
    }
  }
  /// Calls `f(parameter)` for those that it is to `take`, and lets `other` update the rest with `others_state`.
  template <class Take, class F, class Other>
  void divide(const Take& take, const F& f, const Other& other, std::span<E* const> others_state) const {
    const auto rest = workspace.template host<const ParameterInfo*>(parameters.size());
    std::size_t count = 0;
    for (const ParameterInfo* p : parameters) {
      if (take(*p)) f(*p);
      else rest[count++] = p;
    }
    OptimiserStep step = *this;
    step.parameters = {rest.data(), count};
    step.state = others_state;
    other.update(step);
  }
  /// ema = decay * ema + (1 - decay) * weight on [begin, begin + size): for optimisers whose kernel does not.
  void average(Index begin, Index size) const {
    const auto move = [&](E* ema, double decay) {
      const double rest = 1 - decay;
      Kernels<B>::linear_combination(device(), Index{1}, size, &decay, static_cast<const E*>(ema + begin), &rest,
                                     static_cast<const E*>(weights + begin), ema + begin, false);
    };
    move(ema1, ema1_decay);
    move(ema2, ema2_decay);
  }
};

namespace detail {
struct IgnoreOption {  // nvcc takes no lambda in a concept
  template <class V> void operator()(const char*, const V&) const {}
};
}  // namespace detail

/// An optimiser: the names of the flat buffers that it keeps beside the weights, `validate()`, `for_each_option(visit)` for what a
/// checkpoint must agree on, and `update(OptimiserStep)`, a template.
template <class O>
concept Optimiser = requires(const O& optimiser) {
  { O::state[0] } -> std::convertible_to<const char*>;
  optimiser.validate();
  optimiser.for_each_option(detail::IgnoreOption{});
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
struct AdamW {
  static constexpr std::array<const char*, 2> state{"m", "v"};

  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0;  ///< on the parameters that decay

  /// Calls visit(name, value) for everything that a step depends on.
  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("optimizer", "adamw");
    visit("optimizer.beta1", beta1);
    visit("optimizer.beta2", beta2);
    visit("optimizer.epsilon", epsilon);
    visit("optimizer.weight_decay", weight_decay);
  }
  /// Throws Error("optimiser-options") for values that mean nothing.
  void validate() const {
    for (const auto& [value, what] : {std::pair{beta1, "beta1"}, {beta2, "beta2"}})
      check(value >= 0 && value < 1, "optimiser-options", what, " must be in [0, 1), found ", value);
    check(std::isfinite(epsilon) && epsilon > 0, "optimiser-options", "epsilon must be finite and positive, found ", epsilon);
    check(std::isfinite(weight_decay) && weight_decay >= 0, "optimiser-options", "weight_decay must be finite and not negative, found ", weight_decay);
  }
  template <class B, class E> void update(const OptimiserStep<B, E>& s) const {
    AdamWStep adam{s.rate, beta1, beta2, epsilon, 0, 1 - std::pow(beta1, double(s.number)), 1 - std::pow(beta2, double(s.number)),
                   s.gradient_scale, s.ema1_decay, s.ema2_decay};
    s.for_each_run([&](const ParameterInfo& p) { return p.decays && weight_decay > 0; }, [&](Index begin, Index size, bool decays) {
      adam.weight_decay = decays ? weight_decay : 0;
      Kernels<B>::adamw(s.device(), adam, size, s.weights + begin, s.gradients + begin, s.state[0] + begin, s.state[1] + begin,
                        s.ema1 + begin, s.ema2 + begin);
    });
  }
};

SFUMATO_END
