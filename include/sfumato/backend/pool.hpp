// Memory is planned, not requested: blocks go back to the free ones of their size when the last handle to them dies, so
// the second step of any loop finds every block it needs. The one at the lowest address is handed out first, so that equal
// steps use equal addresses, whatever the order in which the blocks came back.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

SFUMATO_BEGIN

template <class B> class Pool;

namespace detail {
/// A piece of memory and the number of handles to it. Handles are counted without atomics: one thread composes ops.
template <class B> struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;
  int handles = 0;
  bool borrowed = false;
  Pool<B>* pool = nullptr;
  Block* next_free = nullptr;
};
}  // namespace detail

/// A counted handle to a block of a backend's memory.
template <class B> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(detail::Block<B>* block) : block_(block) { if (block_) ++block_->handles; }
  Buffer(const Buffer& other) : Buffer(other.block_) {}
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept { std::swap(block_, other.block_); return *this; }
  ~Buffer();

  explicit operator bool() const { return block_ != nullptr; }
  void* data() const { return block_ ? block_->data : nullptr; }
  std::size_t bytes() const { return block_ ? block_->bytes : 0; }

 private:
  detail::Block<B>* block_ = nullptr;
};

/// Recycles blocks of one backend. Not thread-safe. Every buffer must die before its pool.
template <class B> class Pool {
 public:
  explicit Pool(B& backend) : backend_(&backend) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { trim(); }

  /// A block of at least one byte, uninitialised. Throws Error("out-of-memory") when there is none left even after this
  /// pool's free blocks were given back.
  Buffer<B> acquire(std::size_t bytes) {
    bytes = (bytes + granularity - 1) / granularity * granularity;
    if (bytes == 0) bytes = granularity;
    detail::Block<B>*& free = free_of(bytes);
    detail::Block<B>* block = free;
    if (block) {
      free = block->next_free;
    } else {
      void* data = allocate(bytes);
      try {
        block = control_block();
      } catch (...) {
        Kernels<B>::deallocate(*backend_, data);
        throw;
      }
      block->data = data;
      block->bytes = bytes;
      ++allocations_;
      held_ += bytes;
    }
    block->pool = this;
    live_ += bytes;
    if (live_ > peak_) peak_ = live_;
    return Buffer<B>(block);
  }

  /// A handle to memory of somebody else, who must keep it longer than the handle lives.
  Buffer<B> borrow(void* data) {
    detail::Block<B>* block = control_block();
    block->data = data;
    block->borrowed = true;
    block->pool = this;
    return Buffer<B>(block);
  }

  /// Gives all free blocks back to the backend.
  void trim() {
    for (auto& size : sizes_)
      while (detail::Block<B>* const block = size.free) {
        size.free = block->next_free;
        Kernels<B>::deallocate(*backend_, block->data);
        held_ -= size.bytes;
        block->next_free = std::exchange(spare_, block);
      }
  }

  std::size_t live_bytes() const { return live_; }      ///< in use now
  std::size_t peak_bytes() const { return peak_; }      ///< most ever in use at once
  std::size_t held_bytes() const { return held_; }      ///< taken from the backend
  Index allocations() const { return allocations_; }    ///< requests to the backend, ever

 private:
  friend class Buffer<B>;
  static constexpr std::size_t granularity = 64;

  void* allocate(std::size_t bytes) {
    const auto from_backend = [&] { return Kernels<B>::template allocate<std::byte>(*backend_, static_cast<Index>(bytes)); };
    if (held_ == live_) return from_backend();
    try {
      return from_backend();
    } catch (const Error&) {
      trim();  // blocks of other sizes may be what is missing
      return from_backend();
    }
  }

  void release(detail::Block<B>* block) {
    if (block->borrowed) {
      block->next_free = std::exchange(spare_, block);
      return;
    }
    live_ -= block->bytes;
    detail::Block<B>** place = &free_of(block->bytes);
    while (*place && std::less<>{}((*place)->data, block->data)) place = &(*place)->next_free;
    block->next_free = std::exchange(*place, block);
  }
  /// The free blocks of a size, of which there are few, by address.
  detail::Block<B>*& free_of(std::size_t bytes) {
    for (auto& size : sizes_)
      if (size.bytes == bytes) return size.free;
    sizes_.push_back({bytes, nullptr});
    return sizes_.back().free;
  }

  detail::Block<B>* control_block() {
    if (!spare_) {
      chunks_.push_back(std::make_unique<detail::Block<B>[]>(chunk_size));
      for (std::size_t i = 0; i < chunk_size; ++i) chunks_.back()[i].next_free = std::exchange(spare_, &chunks_.back()[i]);
    }
    detail::Block<B>* block = std::exchange(spare_, spare_->next_free);
    *block = {};
    return block;
  }

  static constexpr std::size_t chunk_size = 256;
  B* backend_;
  struct Size { std::size_t bytes; detail::Block<B>* free; };
  std::vector<Size> sizes_;
  std::vector<std::unique_ptr<detail::Block<B>[]>> chunks_;
  detail::Block<B>* spare_ = nullptr;
  std::size_t live_ = 0, peak_ = 0, held_ = 0;
  Index allocations_ = 0;
};

template <class B> Buffer<B>::~Buffer() {
  if (block_ && --block_->handles == 0) block_->pool->release(block_);
}

SFUMATO_END
