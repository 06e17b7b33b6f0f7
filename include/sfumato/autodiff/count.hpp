// The context without data: every op adds its cost, in a constant expression.
#pragma once

#include <sfumato/base/element.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/base/rule.hpp>
#include <sfumato/tensor/param.hpp>

#include <array>
#include <cstdint>

SFUMATO_BEGIN

/// What one run of a model costs.
struct Cost {
  Index macs = 0;            ///< multiply-adds of matrix products and attention, forward
  Index saved = 0;           ///< elements kept for the backward pass
  Index saved_wide = 0;      ///< kept in compute_t of the element: norms' and softmax' row statistics, a wide residual stream
  Index parameters = 0;      ///< trainable
  Index frozen = 0;          ///< stored but not trained
};

/// Runs a model on symbols: `Value<Count, S>` holds a batch size and an id, nothing else.
class Count {
 public:
  struct Id {
    int id = -1;
  };
  template <class> using Handle = Id;
  struct Wide {};
  using backend = Count;
  using element = Count;
  using wide = Wide;
  static constexpr bool counting = true, recording = false;

  template <class S, class E = Count> constexpr Value<Count, S, E> make(Index batch) { return {batch, {next_++}}; }

  constexpr void macs(Index n) { cost.macs += n; }
  /// An op keeps this value for its backward pass; kept once, however many ops keep it.
  template <class V> constexpr void save(const V& value) {
    const auto id = static_cast<std::size_t>(value.handle.id);
    if (value.handle.id < 0) return;
    check_capacity(id);
    const std::uint64_t bit = std::uint64_t{1} << (id % 64);
    if (!(saved_[id / 64] & bit)) (std::is_same_v<typename V::element, Wide> ? cost.saved_wide : cost.saved) += value.size();
    saved_[id / 64] |= bit;
  }
  /// An op keeps something of its own: elements, or row statistics.
  constexpr void save_elements(Index n) { cost.saved += n; }
  constexpr void save_statistics(Index n) { cost.saved_wide += n; }

  /// Runs `f(count)` for its multiply-adds alone: what it would keep is computed again later.
  template <class F> constexpr auto without_saving(F&& f) {
    Count inner = *this;
    auto y = f(inner);
    cost.macs = inner.cost.macs;
    next_ = inner.next_;
    return y;
  }

  template <class Table> constexpr auto constant() { return Value<Count, Shape<Table::rows, Table::width>, Count>{1, {-1}}; }
  /// A value without id: given from outside, never counted as kept.
  template <class S> static constexpr Value<Count, S, Count> input(Index batch) { return {batch, {-1}}; }

  Cost cost;

 private:
  static constexpr std::size_t capacity = 1 << 14;
  static constexpr void check_capacity(std::size_t id) {
    if (id >= capacity) throw Error("count-capacity", "a counted model makes more values than expected");
  }
  std::array<std::uint64_t, capacity / 64> saved_{};
  int next_ = 0;
};

/// Cost of `Model` on one input of shape `Input` per extra argument list: `cost_of<Trunk, Shape<dynamic, 256, 768>>(batch)`.
/// The model is called as `model(count, values...)`; without inputs named, as `model(count, batch)` where it can be, else on
/// its `ImageShape`.
template <class Model, class... Inputs> constexpr Cost cost_of(Index batch) {
  Count count;
  Model model{};
  if constexpr (sizeof...(Inputs) > 0) model(count, Count::input<Inputs>(batch)...);
  else if constexpr (requires { model(count, batch); }) model(count, batch);
  else if constexpr (requires { typename Model::ImageShape; }) model(count, Count::input<typename Model::ImageShape>(batch));
  else static_assert(dependent_false<Model>, "[cost-inputs] name the shapes of this model's inputs: cost_of<Model, Shape<dynamic, ...>>(batch)");
  count.cost.parameters = parameter_count<Model>();
  count.cost.frozen = parameter_count<Model>(true) - count.cost.parameters;
  return count.cost;
}

SFUMATO_END
