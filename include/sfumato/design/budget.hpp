// What a design costs to train, and the largest of several designs that a budget allows: all of it in constant expressions,
// so a machine's limits are static_asserts and a model can be chosen by the compiler.
#pragma once

#include <sfumato/autodiff/count.hpp>
#include <sfumato/base/element.hpp>
#include <sfumato/base/rule.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <tuple>
#include <type_traits>

SFUMATO_BEGIN

namespace rule {
template <int ModelsThatFit, int Models> struct BudgetFits {
  static_assert(ModelsThatFit > 0, "[budget-fits] none of the models fits the budget");
};
}  // namespace rule

/// Elements of a flat buffer of `Model`'s parameters: frozen tables and the padding between parameters included.
template <class Model> constexpr Index buffer_elements() {
  Model model{};
  return bind(model);
}

/// Bytes that training a model holds, by purpose.
struct TrainingMemory {
  Index weights = 0;
  Index gradients = 0;
  Index moments = 0;      ///< Adam's two
  Index averages = 0;     ///< two exponential moving averages
  Index activations = 0;  ///< kept from the forward for the backward pass

  constexpr Index total() const { return weights + gradients + moments + averages + activations; }
};

/// What a Trainer of `Model` in elements `E` holds between the forward and the backward pass, for micro-batches of `batch`
/// samples; `Inputs` as for `cost_of`. What comes and goes is left out: the gradients of a few activations, the one block that Recompute runs again,
/// and the backend's scratch memory. Measured on small models without Recompute, that is a tenth to a quarter of the
/// activations.
template <class Model, Element E = float, class... Inputs> constexpr TrainingMemory training_memory(Index batch) {
  const Index buffer = buffer_elements<Model>() * Index(sizeof(compute_t<E>));
  const Index copy = std::is_same_v<E, compute_t<E>> ? 0 : buffer_elements<Model>() * Index(sizeof(E));  // of weights: two, one to sample with
  const Cost cost = cost_of<Model, Inputs...>(batch);
  return {buffer + 2 * copy, buffer + copy, 2 * buffer, 2 * buffer, cost.saved * Index(sizeof(E)) + cost.saved_wide * Index(sizeof(compute_t<E>))};
}

/// `training_memory(batch).total()`.
template <class Model, Element E = float, class... Inputs> constexpr Index training_bytes(Index batch) {
  return training_memory<Model, E, Inputs...>(batch).total();
}

/// Upper limits; those left out do not bind. An argument of `largest_under`.
struct Budget {
  static constexpr Index unlimited = std::numeric_limits<Index>::max();

  Index parameters = unlimited;      ///< trainable
  Index macs = unlimited;            ///< multiply-adds of one sample's forward pass
  Index training_bytes = unlimited;  ///< in float, at `batch`
  Index batch = 1;
};

/// The figures that a budget limits.
struct DesignFigures {
  Index parameters = 0, macs = 0, training_bytes = 0;

  constexpr bool within(const Budget& b) const {
    return parameters <= b.parameters && macs <= b.macs && training_bytes <= b.training_bytes;
  }
  /// More parameters, and at equal parameters more multiply-adds.
  constexpr bool larger_than(const DesignFigures& other) const {
    return parameters != other.parameters ? parameters > other.parameters : macs > other.macs;
  }
};

/// A model's figures, its training bytes for micro-batches of `batch`.
template <class Model> constexpr DesignFigures figures_of(Index batch) {
  const Cost one = cost_of<Model>(1);
  return {one.parameters, one.macs, training_bytes<Model>(batch)};
}

namespace detail {
/// An objective that every model is sound under.
struct AnyObjective {
  template <class> static constexpr bool fits = true;
};

template <class Objective, Budget limit, class... Models> struct Selection {
  static constexpr std::size_t count = sizeof...(Models);
  static constexpr std::array<DesignFigures, count> figures{figures_of<Models>(limit.batch)...};
  static constexpr std::array<bool, count> fits{
      (Objective::template fits<Models> && figures_of<Models>(limit.batch).within(limit))...};
  static constexpr int fitting = [] {
    int n = 0;
    for (const bool good : fits) n += good ? 1 : 0;
    return n;
  }();
  static constexpr std::size_t largest = [] {
    std::size_t best = count;
    for (std::size_t i = 0; i < count; ++i)
      if (fits[i] && (best == count || figures[i].larger_than(figures[best]))) best = i;
    return best == count ? 0 : best;
  }();
};

template <class Objective, Budget limit, class... Models> struct Largest
    : private rule::BudgetFits<Selection<Objective, limit, Models...>::fitting, int(sizeof...(Models))> {
  using type = std::tuple_element_t<Selection<Objective, limit, Models...>::largest, std::tuple<Models...>>;
};
}  // namespace detail

/// How many of the models a budget allows.
template <Budget limit, class... Models> inline constexpr int models_within =
    detail::Selection<detail::AnyObjective, limit, Models...>::fitting;

/// The model with the most parameters of those within the budget; the first of equals.
///   using Model = largest_under<Budget{.parameters = 20'000'000, .batch = 64}, A, B, C>;
template <Budget limit, class... Models> using largest_under =
    typename detail::Largest<detail::AnyObjective, limit, Models...>::type;

/// The same among the models that are sound under `Objective`, a FlowObjective: for v- and eps-prediction the output path
/// must be as wide as the token.
template <class Objective, Budget limit, class... Models> using largest_sound_under =
    typename detail::Largest<Objective, limit, Models...>::type;

SFUMATO_END
