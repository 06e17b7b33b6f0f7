// The inference context: kernels run, nothing is kept.
#pragma once

#include <sfumato/backend/workspace.hpp>
#include <sfumato/base/rules.hpp>
#include <sfumato/tensor/param.hpp>
#include <sfumato/tensor/tensor.hpp>

#include <cstddef>
#include <span>

SFUMATO_BEGIN

/// Which random numbers a step draws, and where its first sample stands in the whole batch.
struct StepRandom {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  Index first_sample = 0;
};

/// What Run and Record share: a workspace, weights, and how values get their memory.
template <Backend B, Element E> class DeviceContext {
 public:
  using backend = B;
  using element = E;
  using wide = compute_t<E>;  ///< of values that sums gather in
  static constexpr bool counting = false;

  /// A bare pointer tells no memory from another, so only backends in the host's memory take one; null is for all.
  DeviceContext(Workspace<B>& workspace, const E* weights) : workspace_(&workspace), weights_(weights) { require<rule::HostPointer<B, host_memory<B>>>(); }
  DeviceContext(Workspace<B>& workspace, std::nullptr_t) : workspace_(&workspace), weights_(nullptr) {}
  /// Weights of another backend or element do not compile.
  template <class WB, class WE> DeviceContext(Workspace<B>& workspace, const Array<WB, WE>& weights) : workspace_(&workspace), weights_(pointer(weights)) {}

  B& device() const { return workspace_->backend(); }
  Workspace<B>& workspace() const { return *workspace_; }

  template <class P> const E* weight(const P& param) const {
    if constexpr (is_none<P>) {
      return nullptr;
    } else {
      check(param.offset >= 0, "unbound", "a parameter has no place in the weights: call bind(model) first, or use Weights");
      return weights_ + param.offset;
    }
  }
  /// `n` values of T in this backend's memory.
  template <class T = E> Buffer<B> scratch(Index n) const { return workspace_->pool().acquire(static_cast<std::size_t>(n) * sizeof(T)); }

 protected:
  /// Says of a pointer that it is known to be of this backend.
  struct Owned {};
  DeviceContext(Workspace<B>& workspace, const E* weights, Owned) : workspace_(&workspace), weights_(weights) {}

  template <class WB, class WE> static const E* pointer(const Array<WB, WE>& array) {
    require<rule::SameBackend<DeviceContext, B, WB>, rule::SameElement<DeviceContext, E, WE>>();
    if constexpr (std::is_same_v<E, WE>) return array.data();
    else return nullptr;
  }
  Workspace<B>* workspace_;
  const E* weights_;
};

/// Inference on `B` in elements `E`: `Run<backend::Cpu> run(workspace, weights); auto y = model(run, x);`
template <Backend B, Element E = float> class Run : public DeviceContext<B, E> {
 public:
  template <class T> using Handle = Buffer<B>;
  static constexpr bool recording = false;
  using DeviceContext<B, E>::DeviceContext;

  /// The same context with other weights: a second model in the same computation.
  template <class Array> Run with(const Array& weights) const { return Run(*this->workspace_, weights); }
  /// With weights that are not trained: in a context that differentiates, nothing flows to them.
  template <class Array> Run frozen(const Array& weights) const { return with(weights); }

  template <class S, class T = E> Value<Run, S, T> make(Index batch) { return {batch, this->template scratch<T>(batch * S::row)}; }
  /// A value of this memory.
  template <class S> Value<Run, S, E> adopt(Index batch, Buffer<B> memory) { return {batch, std::move(memory)}; }

  template <class S, class T> const T* data(const Value<Run, S, T>& v) const { return static_cast<const T*>(v.handle.data()); }
  template <class S, class T> T* mutable_data(const Value<Run, S, T>& v) const { return static_cast<T*>(v.handle.data()); }

  template <class Table> auto constant() {
    return Value<Run, Shape<Table::rows, Table::width>, E>{1, this->workspace_->template constant<Table, E>()};
  }

  /// The same data under another shape of equal size.
  template <class To, class S, class T> Value<Run, To, T> reinterpret(const Value<Run, S, T>& v, Index batch) { return {batch, v.handle}; }
};

SFUMATO_END
