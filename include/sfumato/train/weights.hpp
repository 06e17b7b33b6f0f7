// Weights of a model without a training run: for inference and for tests.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/tensor/param.hpp>
#include <sfumato/tensor/tensor.hpp>

#include <charconv>
#include <string>

SFUMATO_BEGIN

/// A bound model and one flat buffer of its parameters.
template <class Model, Backend B, Element E = float> class Weights {
 public:
  /// All zeros, for a file to be read into.
  explicit Weights(B& device) : size_(bind(model_)), values_(device, size_) {}
  /// Initial values by `seed`.
  Weights(B& device, std::uint64_t seed) : Weights(device) {
    std::vector<E> host(static_cast<std::size_t>(size_), E(0.0));
    initialise(model_, seed, host.data());
    values_.upload(host);
  }

  const Model& model() const { return model_; }
  Array<B, E>& values() { return values_; }
  const Array<B, E>& values() const { return values_; }
  const E* data() const { return values_.data(); }
  Index size() const { return size_; }

 private:
  Model model_;
  Index size_;
  Array<B, E> values_;
};

namespace detail {
/// What tells frozen weights apart, as an option of a run: their squared norm, to ten digits, since instruction sets and devices sum in other orders.
template <class Model, Backend B, Element E> std::string fingerprint(const Weights<Model, B, E>& weights) {
  char digits[32];
  const double norm = Kernels<B>::squared_norm(weights.values().backend(), weights.size(), weights.data());
  return {digits, std::to_chars(digits, digits + sizeof digits, norm, std::chars_format::scientific, 9).ptr};
}
}  // namespace detail

SFUMATO_END
