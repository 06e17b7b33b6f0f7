// The pool when memory runs out: what is free is given back and asked for again, and nothing is lost.
#include <sfumato/backend/pool.hpp>

#include "check_error.hpp"

#include <map>

using namespace sfumato;

namespace {

/// A backend with so many bytes, that knows what is taken.
struct Small {
  std::size_t capacity = 1024, taken = 0;
  std::map<void*, std::size_t> blocks;
};

}  // namespace

SFUMATO_BEGIN
template <> struct Kernels<Small> {
  template <class T> static T* allocate(Small& b, Index n) {
    const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
    check(b.taken + bytes <= b.capacity, "out-of-memory", bytes, " bytes");
    void* memory = ::operator new(bytes);
    b.blocks[memory] = bytes;
    b.taken += bytes;
    return static_cast<T*>(memory);
  }
  static void deallocate(Small& b, void* memory) {
    b.taken -= b.blocks.at(memory);
    b.blocks.erase(memory);
    ::operator delete(memory);
  }
};
SFUMATO_END

TEST_CASE("a pool gives its free blocks back before it says that memory is out") {
  Small device;
  {
    Pool<Small> pool(device);
    { const auto a = pool.acquire(512), b = pool.acquire(256); }
    CHECK(pool.held_bytes() == 768);
    CHECK(pool.live_bytes() == 0);
    const auto large = pool.acquire(1024);  // fits only without them
    CHECK(pool.held_bytes() == 1024);
    check_error([&] { pool.acquire(64); }, "out-of-memory", {"64 bytes"});
    CHECK(pool.held_bytes() == 1024);
    CHECK(pool.live_bytes() == 1024);
    CHECK(device.taken == 1024);
  }
  CHECK(device.blocks.empty());
}
