// Device memory: few large pieces taken from the device, cut as asked for.
#pragma once

#include <sfumato/backend/cuda/status.hpp>
#include <sfumato/base/config.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <vector>

SFUMATO_BEGIN
namespace backend::cuda {

/// Memory goes back to the device only with the arena, so that graphs may keep its addresses. What is cut anew may still be in
/// use by kernels of the stream, which run before any that are launched later.
template <class Api> class Arena {
 public:
  /// Takes `planned` bytes at once.
  Arena(Api& api, std::size_t planned) : api_(&api), planned_(planned) {
    if (planned > 0) grow(round(planned), round(planned));
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { for (void* piece : pieces_) api_->free(piece); }

  /// Aligned to 256 bytes. Throws Error("out-of-memory").
  void* allocate(std::size_t bytes) {
    bytes = round(bytes);
    auto gap = find(bytes);
    if (gap == free_.end()) {
      grow(bytes, std::max(bytes, Api::piece_bytes));
      gap = find(bytes);
    }
    const auto [begin, size] = *gap;
    free_.erase(gap);
    if (size > bytes) free_.emplace(begin + bytes, size - bytes);
    used_.emplace(begin, bytes);
    used_bytes_ += bytes;
    return begin;
  }
  void deallocate(void* memory) {
    if (memory == nullptr) return;
    const auto block = used_.find(static_cast<std::byte*>(memory));
    auto [begin, size] = *block;
    used_bytes_ -= size;
    used_.erase(block);
    auto after = free_.lower_bound(begin);
    if (after != free_.end() && after->first == begin + size) {
      size += after->second;
      after = free_.erase(after);
    }
    if (after != free_.begin() && std::prev(after)->first + std::prev(after)->second == begin) std::prev(after)->second += size;
    else free_.emplace(begin, size);
  }

  std::size_t used_bytes() const { return used_bytes_; }    ///< in use now
  std::size_t held_bytes() const { return held_bytes_; }    ///< taken from the device
  std::size_t pieces() const { return pieces_.size(); }     ///< requests to the device

 private:
  static constexpr std::size_t granularity = 256;
  static std::size_t round(std::size_t bytes) { return std::max((bytes + granularity - 1) / granularity, std::size_t{1}) * granularity; }
  using Gaps = std::map<std::byte*, std::size_t>;

  /// The tightest gap.
  typename Gaps::iterator find(std::size_t bytes) {
    auto best = free_.end();
    for (auto gap = free_.begin(); gap != free_.end(); ++gap)
      if (gap->second >= bytes && (best == free_.end() || gap->second < best->second)) best = gap;
    return best;
  }
  /// A new piece of `wanted` bytes, or, where that cannot be had, of the `needed` ones.
  void grow(std::size_t needed, std::size_t wanted) {
    void* piece = nullptr;
    Status status = api_->allocate(&piece, wanted);
    if (status != nullptr && wanted > needed) status = api_->allocate(&piece, wanted = needed);
    check_memory(*api_, status, "an array", needed, ", ", held_bytes_, " held already; planned: ", planned_ > 0 ? text(planned_) : std::string("nothing"));
    pieces_.push_back(piece);
    held_bytes_ += wanted;
    free_.emplace(static_cast<std::byte*>(piece), wanted);
  }

  Api* api_;
  std::size_t planned_;
  std::vector<void*> pieces_;
  Gaps free_, used_;
  std::size_t used_bytes_ = 0, held_bytes_ = 0;
};

}  // namespace backend::cuda
SFUMATO_END
