// The training context: kernels run, and each op leaves its vector-Jacobian product on a tape.
#pragma once

#include <sfumato/autodiff/run.hpp>
#include <sfumato/autodiff/tape.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/base/rules.hpp>

SFUMATO_BEGIN

template <Backend B, Element E> class Record;

/// The tape that recording contexts share. One per training loop; values must not outlive it.
template <Backend B, Element E = float> class Tape {
 public:
  explicit Tape(Workspace<B>& workspace) : workspace_(&workspace) {}
  Workspace<B>& workspace() const { return *workspace_; }
  /// Forgets what was recorded, without running it.
  void clear() { closures_.clear(); }
  /// Number of recorded ops.
  std::size_t size() const { return closures_.size(); }

 private:
  friend class Record<B, E>;
  Workspace<B>* workspace_;
  detail::SlotPool<B> slots_;  // before the closures: their handles return here
  ClosureStack<Record<B, E>> closures_;
};

/// Training on `B` in elements `E`. With `gradients` null the weights are frozen: gradients pass through to inputs only.
template <Backend B, Element E = float> class Record : public DeviceContext<B, E> {
 public:
  /// Data, and the place of its gradient; without a slot nothing flows back.
  template <class T> struct Handle {
    Buffer<B> data;
    Slot<B, T> slot;
  };
  static constexpr bool recording = true;

  Record(Tape<B, E>& tape, const E* weights, E* gradients, StepRandom step_random = {})
      : Record(tape, weights, gradients, step_random, Owned{}) {
    require<rule::HostPointer<B, host_memory<B>>>();
  }

  /// Weights and gradients in one layout; those of another backend or element do not compile.
  template <class WB, class WE> Record(Tape<B, E>& tape, const Array<WB, WE>& weights, Array<WB, WE>& gradients, StepRandom step_random = {})
      : Record(tape, DeviceContext<B, E>::pointer(weights), const_cast<E*>(DeviceContext<B, E>::pointer(gradients)), step_random, Owned{}) {
    check(weights.size() == gradients.size(), "shape", "there are ", weights.size(), " weights and ", gradients.size(), " gradients");
  }
  /// Without weights.
  Record(Tape<B, E>& tape, std::nullptr_t, std::nullptr_t, StepRandom step_random = {}) : Record(tape, nullptr, nullptr, step_random, Owned{}) {}
  /// Frozen weights.
  template <class WB, class WE> Record(Tape<B, E>& tape, const Array<WB, WE>& weights, std::nullptr_t, StepRandom step_random = {})
      : Record(tape, DeviceContext<B, E>::pointer(weights), nullptr, step_random, Owned{}) {}

  /// The same tape with another model's weights and gradients (null: frozen).
  template <class Array, class Gradients> Record with(const Array& weights, Gradients&& gradients) const { return Record(*tape_, weights, gradients, random); }

  /// With weights that are not trained: nothing flows to them.
  template <class Array> Record frozen(const Array& weights) const { return with(weights, nullptr); }

  template <class S, class T = E> Value<Record, S, T> make(Index batch) { return {batch, {this->template scratch<T>(batch * S::row), {}}}; }
  /// A value of this memory.
  template <class S> Value<Record, S, E> adopt(Index batch, Buffer<B> memory) { return {batch, {std::move(memory), {}}}; }

  template <class S, class T> const T* data(const Value<Record, S, T>& v) const { return static_cast<const T*>(v.handle.data.data()); }
  template <class S, class T> T* mutable_data(const Value<Record, S, T>& v) const { return static_cast<T*>(v.handle.data.data()); }

  template <class Table> auto constant() {
    return Value<Record, Shape<Table::rows, Table::width>, E>{1, {this->workspace_->template constant<Table, E>(), {}}};
  }
  template <class To, class S, class T> Value<Record, To, T> reinterpret(const Value<Record, S, T>& v, Index batch) {
    return {batch, {v.handle.data, {}}};
  }

  // For ops -----------------------------------------------------------------------------------------------------------

  /// Whether a gradient can reach this value or parameter.
  template <class V> bool flows(const V& v) const {
    if constexpr (is_none<V>) return false;
    else if constexpr (IsParam<V>) return gradients_ != nullptr && !V::frozen;
    else return static_cast<bool>(v.handle.slot);
  }

  /// Leaves `closure(Record&, const T* d_y)` for `y` on the tape, if `needed`. It is skipped when no gradient reached y.
  template <class S, class T, class F> void record(Value<Record, S, T>& y, bool needed, F&& closure) {
    if (!needed) return;
    y.handle.slot = Slot<B, T>(tape_->slots_, y.size());
    tape_->closures_.push([slot = y.handle.slot, weights = this->weights_, gradients = gradients_, random = random,
                           closure = std::forward<F>(closure)](Record& outer) mutable {
      if (!slot.gradient()) return;
      Record self(*outer.tape_, weights, gradients, random, Owned{});  // the model that recorded it, not the one that runs the tape
      if constexpr (std::is_invocable_v<F&, Record&, Slot<B, T>&>) closure(self, slot);
      else closure(self, static_cast<const T*>(slot.data()));
      slot.gradient() = {};
    });
  }

  /// Where an op puts the gradient of `v`, and whether it must add to what is there; null when nothing flows.
  template <class T> struct Into {
    T* data;
    bool accumulate;
  };
  template <class T> Into<T> gradient(const Slot<B, T>& slot) {
    if (!slot) return {nullptr, false};
    const bool accumulate = static_cast<bool>(slot.gradient());
    if (!accumulate) slot.gradient() = this->template scratch<T>(slot.size());
    return {slot.data(), accumulate};
  }
  template <class S, class T> Into<T> gradient(const Value<Record, S, T>& v) { return gradient(v.handle.slot); }
  /// For ops that write only a part: zeroed at first use, always added to.
  template <class T> T* gradient_to_add(const Slot<B, T>& slot) {
    const Into<T> into = gradient(slot);
    if (into.data && !into.accumulate) Kernels<B>::fill(this->device(), slot.size(), 0.0, into.data);
    return into.data;
  }
  /// Gradient of a parameter, always added to; null when frozen.
  template <class P> E* parameter_gradient(const P& p) const {
    if constexpr (is_none<P>) return nullptr;
    else return flows(p) ? gradients_ + p.offset : nullptr;
  }
  /// Adds `from`'s gradient to `to`, without a copy when `to` is the first to get one. `from` may be left empty.
  template <class T> void move_gradient(Slot<B, T>& from, const Slot<B, T>& to) {
    if (!to) return;
    if (!to.gradient()) {
      to.gradient() = std::move(from.gradient());
      from.gradient() = {};
      return;
    }
    add_gradient(static_cast<const T*>(from.data()), to);
  }
  /// Adds an array to `to`'s gradient.
  template <class T> void add_gradient(const T* d, const Slot<B, T>& to) {
    if (!to) return;
    const double one = 1;
    const auto [into, accumulate] = gradient(to);
    Kernels<B>::linear_combination(this->device(), Index{1}, to.size(), &one, d, nullptr, static_cast<const T*>(nullptr), into, accumulate);
  }

  // For users ---------------------------------------------------------------------------------------------------------

  /// Marks an input so that `gradient_of` it can be read after `backward`.
  template <class S, class T> void require_gradient(Value<Record, S, T>& v) { v.handle.slot = Slot<B, T>(tape_->slots_, v.size()); }
  /// The gradient that `backward` left at an input; null where none arrived.
  template <class S, class T> const T* gradient_of(const Value<Record, S, T>& v) const {
    return v.handle.slot ? v.handle.slot.data() : nullptr;
  }
  /// Runs the tape backwards from a scalar, with d loss = `seed`, adding to the gradients. Empties the tape, also when it
  /// throws.
  template <class S, class T> void backward(const Value<Record, S, T>& loss, double seed = 1) {
    require<rule::ScalarLoss<S::row>>();
    check(loss.size() == 1, "scalar-loss", "backward starts from a scalar, found ", loss.size(), " elements");
    if (!loss.handle.slot) return tape_->clear();
    check(tape_->size() > 0, "empty-tape", "backward was run already, and emptied the tape: record the loss again");
    try {
      Kernels<B>::fill(this->device(), Index{1}, seed, gradient(loss).data);
      tape_->closures_.run_down_to(0, *this);
    } catch (...) {
      tape_->clear();
      throw;
    }
  }

  std::size_t mark() const { return tape_->closures_.size(); }
  void forget_down_to(std::size_t mark) { tape_->closures_.forget_down_to(mark); }
  void run_down_to(std::size_t mark) { tape_->closures_.run_down_to(mark, *this); }

  StepRandom random;  ///< what dropout draws from

 private:
  using typename DeviceContext<B, E>::Owned;
  Record(Tape<B, E>& tape, const E* weights, E* gradients, StepRandom step_random, Owned owned)
      : DeviceContext<B, E>(tape.workspace(), weights, owned), random(step_random), tape_(&tape), gradients_(gradients) {}

  Tape<B, E>* tape_;
  E* gradients_;
};

SFUMATO_END
