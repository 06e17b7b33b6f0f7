// The tape: closures in the order of recording, run backwards. Closures own what they need by counted handles, so
// running and destroying one frees its memory; nothing else decides when an activation dies.
#pragma once

#include <sfumato/backend/workspace.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

SFUMATO_BEGIN

namespace detail {
template <class B> struct SlotNode {
  Buffer<B> gradient;
  Index size = 0;
  int handles = 0;
  SlotNode* next_free = nullptr;
};

/// Recycled storage for slot nodes.
template <class B> class SlotPool {
 public:
  SlotNode<B>* acquire(Index size) {
    if (!free_) {
      chunks_.push_back(std::make_unique<SlotNode<B>[]>(chunk));
      for (std::size_t i = 0; i < chunk; ++i) chunks_.back()[i].next_free = std::exchange(free_, &chunks_.back()[i]);
    }
    SlotNode<B>* node = std::exchange(free_, free_->next_free);
    node->size = size;
    return node;
  }
  void release(SlotNode<B>* node) {
    node->gradient = {};
    node->next_free = std::exchange(free_, node);
  }

 private:
  static constexpr std::size_t chunk = 256;
  std::vector<std::unique_ptr<SlotNode<B>[]>> chunks_;
  SlotNode<B>* free_ = nullptr;
};
}  // namespace detail

/// Where the gradient of one value gathers, in elements T. Empty: nothing flows through this value.
template <class B, class T> class Slot {
 public:
  using element = T;
  Slot() = default;
  Slot(detail::SlotPool<B>& pool, Index size) : pool_(&pool), node_(pool.acquire(size)) { node_->handles = 1; }
  Slot(const Slot& other) : pool_(other.pool_), node_(other.node_) { if (node_) ++node_->handles; }
  Slot(Slot&& other) noexcept : pool_(other.pool_), node_(std::exchange(other.node_, nullptr)) {}
  Slot& operator=(Slot other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(node_, other.node_);
    return *this;
  }
  ~Slot() { if (node_ && --node_->handles == 0) pool_->release(node_); }

  explicit operator bool() const { return node_ != nullptr; }
  Index size() const { return node_->size; }
  Buffer<B>& gradient() const { return node_->gradient; }
  /// The gradient's elements; null where none arrived.
  T* data() const { return static_cast<T*>(node_->gradient.data()); }

 private:
  detail::SlotPool<B>* pool_ = nullptr;
  detail::SlotNode<B>* node_ = nullptr;
};

/// A stack of closures `void(Context&)`, in memory that is kept for the next step.
template <class Context> class ClosureStack {
 public:
  ClosureStack() = default;
  ClosureStack(const ClosureStack&) = delete;
  ClosureStack& operator=(const ClosureStack&) = delete;
  ~ClosureStack() { clear(); }

  std::size_t size() const { return entries_.size(); }

  template <class F> void push(F&& closure) {
    using Stored = std::decay_t<F>;
    static_assert(alignof(Stored) <= alignof(std::max_align_t) && sizeof(Stored) <= chunk_bytes);
    const std::size_t bytes = (sizeof(Stored) + alignof(std::max_align_t) - 1) / alignof(std::max_align_t) * alignof(std::max_align_t);
    const Place before = top_;
    if (top_.chunk == chunks_.size() || top_.offset + bytes > chunk_bytes) {
      if (top_.chunk < chunks_.size()) ++top_.chunk;
      if (top_.chunk == chunks_.size()) chunks_.push_back(std::make_unique<Chunk>());
      top_.offset = 0;
    }
    if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size() + 64);  // past here only Stored's constructor throws
    void* place = chunks_[top_.chunk]->bytes + top_.offset;
    new (place) Stored(std::forward<F>(closure));
    top_.offset += bytes;
    entries_.push_back({place, before,
                        [](void* self, Context* context) {
                          auto* stored = static_cast<Stored*>(self);
                          // Destroyed even when running it throws, as its place is given up either way.
                          struct Guard { Stored* s; ~Guard() { s->~Stored(); } } guard{stored};
                          if (context) (*stored)(*context);
                        }});
  }

  /// Runs and destroys closures, last first, until `mark` of them are left. A closure may push and run others.
  void run_down_to(std::size_t mark, Context& context) { pop_down_to(mark, &context); }
  void forget_down_to(std::size_t mark) { pop_down_to(mark, nullptr); }
  void clear() { pop_down_to(0, nullptr); }

 private:
  struct Place { std::size_t chunk = 0, offset = 0; };
  struct Entry { void* closure; Place before; void (*consume)(void*, Context*); };
  static constexpr std::size_t chunk_bytes = std::size_t{1} << 16;
  struct Chunk { alignas(std::max_align_t) std::byte bytes[chunk_bytes]; };

  void pop_down_to(std::size_t mark, Context* context) {
    while (entries_.size() > mark) {
      const Entry entry = entries_.back();
      entries_.pop_back();
      struct GiveUp { Place& top; Place before; ~GiveUp() { top = before; } } give_up{top_, entry.before};
      entry.consume(entry.closure, context);
    }
  }

  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  Place top_;
};

SFUMATO_END
