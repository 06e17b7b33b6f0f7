// What running a model needs besides its weights: a backend, recycled memory, and tables computed once.
#pragma once

#include <sfumato/backend/pool.hpp>
#include <sfumato/base/error.hpp>

#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

SFUMATO_BEGIN

/// Plain host memory as a (partial) backend, for labels, times and coefficients that a step keeps.
struct HostMemory {
  static constexpr const char* name = "host";
};

template <> struct Kernels<HostMemory> {
  template <class T> static T* allocate(HostMemory&, Index n) {
    void* data = std::malloc(static_cast<std::size_t>(n) * sizeof(T));
    check(data != nullptr, "out-of-memory", "host memory: ", n * Index(sizeof(T)), " bytes could not be had");
    return static_cast<T*>(data);
  }
  static void deallocate(HostMemory&, void* data) { std::free(data); }
};

/// Host values kept alive as long as somebody holds them.
template <class T> class HostArray {
 public:
  HostArray() = default;
  HostArray(Buffer<HostMemory> buffer, std::size_t size) : buffer_(std::move(buffer)), size_(size) {}
  T* data() const { return static_cast<T*>(buffer_.data()); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) const { return data()[i]; }
  T* begin() const { return data(); }
  T* end() const { return data() + size_; }

 private:
  Buffer<HostMemory> buffer_;
  std::size_t size_ = 0;
};

/// Owns the memory that contexts on one backend share. Values must not outlive it. One per thread of composition.
template <class B> class Workspace {
 public:
  explicit Workspace(B& device) : backend_(&device), pool_(device), host_(host_memory_) {}

  B& backend() const { return *backend_; }
  Pool<B>& pool() { return pool_; }

  template <class T> HostArray<T> host(std::size_t n) { return {host_.acquire(n * sizeof(T)), n}; }
  template <class T> HostArray<T> host_copy(std::span<const T> values) {
    auto copy = host<T>(values.size());
    std::copy(values.begin(), values.end(), copy.begin());
    return copy;
  }

  /// The table `Table` as elements of type E, computed at first use. Table: `size`, `static void fill(double*)`.
  template <class Table, class E> Buffer<B> constant() {
    static constexpr char key = 0;  // one address per (Table, E)
    for (const auto& [known, buffer] : constants_)
      if (known == &key) return buffer;
    std::vector<double> table(static_cast<std::size_t>(Table::size));
    Table::fill(table.data());
    std::vector<E> elements;
    elements.reserve(table.size());
    for (const double value : table) elements.push_back(static_cast<E>(value));
    auto buffer = pool_.acquire(elements.size() * sizeof(E));
    Kernels<B>::upload(*backend_, static_cast<E*>(buffer.data()), elements.data(), Table::size);
    constants_.emplace_back(&key, buffer);
    return buffer;
  }

  /// Requests made to the backend and the host allocator so far; constant after the first step.
  Index allocations() const { return pool_.allocations() + host_.allocations(); }

 private:
  B* backend_;
  HostMemory host_memory_;
  Pool<B> pool_;
  Pool<HostMemory> host_;
  std::vector<std::pair<const void*, Buffer<B>>> constants_;
};

SFUMATO_END
