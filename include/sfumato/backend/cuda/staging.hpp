// From the host to the device: through pinned memory, without waiting.
#pragma once

#include <sfumato/backend/cuda/status.hpp>
#include <sfumato/base/config.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

SFUMATO_BEGIN
namespace backend::cuda {

/// What is staged together is aligned to this.
inline constexpr std::size_t staging_alignment = 16;

/// A ring of pinned blocks. Small values gather in the current one and go over in one copy, to addresses that are the same
/// every time; arrays are cut into blocks.
template <class Api> class Staging {
 public:
  explicit Staging(Api& api) : api_(&api) { take(first_capacity); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() { give_back(); }

  bool empty() const { return filled_ == 0; }
  bool fits(std::size_t bytes) const { return filled_ + round(bytes) <= capacity_; }
  /// Makes `bytes` fit. Nothing may be waiting.
  void reserve(std::size_t bytes) {
    if (round(bytes) <= capacity_) return;
    check_status(api_->synchronize(), "cuda-kernel", "waiting for the device");
    give_back();
    take(std::max(round(bytes), 2 * capacity_));
  }
  /// Copies values that fit; returns where they will be on the device once sent.
  void* put(const void* host, std::size_t bytes) {
    Slot& slot = current();
    std::memcpy(slot.host + filled_, host, bytes);
    std::byte* const there = device_ + filled_;
    filled_ += round(bytes);
    return there;
  }
  /// Sends what was put.
  void send() {
    if (filled_ == 0) return;
    copy(device_, filled_, Lane::kernels);
    filled_ = 0;
  }
  /// Copies an array; the host's memory is free when this returns. Nothing may have been put since `send`.
  void upload(void* to, const void* host, std::size_t bytes, Lane lane) {
    auto* target = static_cast<std::byte*>(to);
    const auto* source = static_cast<const std::byte*>(host);
    while (bytes > 0) {
      const std::size_t part = std::min(bytes, capacity_);
      std::memcpy(current().host, source, part);
      copy(target, part, lane);
      target += part, source += part, bytes -= part;
    }
  }

 private:
  static constexpr std::size_t first_capacity = std::size_t{1} << 20;
  static std::size_t round(std::size_t bytes) { return (bytes + staging_alignment - 1) / staging_alignment * staging_alignment; }
  struct Slot {
    std::byte* host = nullptr;
    typename Api::Event sent{};
    bool in_flight = false;
  };

  /// The block to write to, once its last copy has been done.
  Slot& current() {
    Slot& slot = slots_[next_];
    if (slot.in_flight) check_status(api_->wait(slot.sent), "cuda-kernel", "a copy to the device, or a kernel before it");
    slot.in_flight = false;
    return slot;
  }
  void copy(void* to, std::size_t bytes, Lane lane) {
    Slot& slot = slots_[next_];
    check_status(api_->copy_to_device(to, slot.host, bytes, lane), "cuda-kernel", "a copy of ", bytes, " bytes to the device");
    check_status(api_->record(slot.sent, lane), "cuda-kernel", "a copy of ", bytes, " bytes to the device");
    slot.in_flight = true;
    next_ = (next_ + 1) % slots_.size();
  }
  void take(std::size_t capacity) {
    capacity_ = 0;
    for (Slot& slot : slots_) {
      void* host = nullptr;
      check_status(api_->allocate_pinned(&host, capacity), "out-of-memory", "pinned host memory: ", capacity, " bytes could not be had");
      slot = {static_cast<std::byte*>(host), slot.sent, false};
      if (!events_) check_status(api_->create(slot.sent), "cuda-device", "an event");
    }
    events_ = true;
    void* device = nullptr;
    check_memory(*api_, api_->allocate(&device, capacity), "staging", capacity);
    device_ = static_cast<std::byte*>(device);
    capacity_ = capacity;
  }
  void give_back() {
    for (Slot& slot : slots_) {
      if (slot.host != nullptr) api_->free_pinned(slot.host);
      slot.host = nullptr;
      slot.in_flight = false;
    }
    if (device_ != nullptr) api_->free(device_);
    device_ = nullptr;
  }

  Api* api_;
  std::array<Slot, 8> slots_;
  bool events_ = false;
  std::size_t next_ = 0, filled_ = 0, capacity_ = 0;
  std::byte* device_ = nullptr;
};

}  // namespace backend::cuda
SFUMATO_END
