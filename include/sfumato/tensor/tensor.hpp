// Memory with an owner: flat arrays, tensors whose shape is a type, and views of either.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/tensor/shape.hpp>

#include <span>
#include <utility>
#include <vector>

SFUMATO_BEGIN

/// `size` elements of a backend's memory, zeroed. Move-only; the backend must outlive it.
template <Backend B, Element E> class Array {
 public:
  Array() = default;
  Array(B& backend, Index size) : backend_(&backend), data_(Kernels<B>::template allocate<E>(backend, size > 0 ? size : 1)), size_(size) {
    Kernels<B>::fill(backend, size, 0.0, data_);
  }
  Array(Array&& other) noexcept : backend_(other.backend_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Array& operator=(Array other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Array() { if (data_) Kernels<B>::deallocate(*backend_, data_); }

  E* data() { return data_; }
  const E* data() const { return data_; }
  Index size() const { return size_; }
  B& backend() const { return *backend_; }

  /// Copies between host elements and [offset, offset + size of the span). Throws Error("shape") beyond the array.
  void upload(std::span<const E> host, Index offset = 0) {
    check_range(Index(host.size()), offset);
    Kernels<B>::upload(*backend_, data_ + offset, host.data(), Index(host.size()));
  }
  void download(std::span<E> host, Index offset = 0) const {
    check_range(Index(host.size()), offset);
    Kernels<B>::download(*backend_, host.data(), static_cast<const E*>(data_ + offset), Index(host.size()));
  }

 private:
  void check_range(Index count, Index offset) const {
    check(offset >= 0 && count <= size_ - offset, "shape", count, " elements at ", offset, " do not fit an array of ", size_);
  }
  B* backend_ = nullptr;
  E* data_ = nullptr;
  Index size_ = 0;
};

/// Elements that somebody else owns, with their shape, element type and backend in the type.
template <class E, IsShape S, Backend B> struct View {
  using element = E;
  using shape = S;
  using backend = B;
  E* data = nullptr;
  Index batch = 1;

  Index size() const { return batch * S::row; }
  operator View<const E, S, B>() const { return {data, batch}; }
  /// Samples [begin, end) of a batched view, without a copy.
  View slice(Index begin, Index end) const {
    static_assert(S::batched, "[leading-batch] only the run-time batch of a view can be sliced at run time");
    return {data + begin * S::row, end - begin};
  }
};

/// An owning tensor: `Tensor<float, Shape<dynamic, 3, 28, 28>, backend::Cpu> images(cpu, 64);`
template <Element E, IsShape S, Backend B> class Tensor {
 public:
  using element = E;
  using shape = S;
  using backend = B;

  explicit Tensor(B& device, Index batch = 1) : array_(device, checked(batch) * S::row), batch_(batch) {}

  Index batch() const { return batch_; }
  Index size() const { return array_.size(); }
  E* data() { return array_.data(); }
  const E* data() const { return array_.data(); }
  View<E, S, B> view() { return {array_.data(), batch_}; }
  View<const E, S, B> view() const { return {array_.data(), batch_}; }
  /// Host elements in, host elements out; sizes must match.
  void upload(std::span<const E> host) {
    check(Index(host.size()) == array_.size(), "shape", host.size(), " elements do not fill a tensor of ", array_.size());
    array_.upload(host);
  }
  std::vector<E> to_host() const {
    std::vector<E> host(static_cast<std::size_t>(array_.size()));
    array_.download(host);
    return host;
  }

 private:
  static Index checked(Index batch) {
    check(batch > 0 && (S::batched || batch == 1), "batch", "a tensor of this shape cannot have a batch of ", batch);
    return batch;
  }
  Array<B, E> array_;
  Index batch_;
};

SFUMATO_END
