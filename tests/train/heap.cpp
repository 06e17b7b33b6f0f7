// Counts every heap allocation of this program. A file of its own: inlined, the pairs of new and free look mismatched to g++.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace train_test {
long heap_requests();
}

namespace {
std::atomic<long> requests{0};
[[maybe_unused]] void* counted(std::size_t size, std::size_t alignment) {
  ++requests;
  void* memory = alignment <= alignof(std::max_align_t) ? std::malloc(size + (size == 0)) : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (!memory) throw std::bad_alloc();
  return memory;
}
}  // namespace

long train_test::heap_requests() { return requests; }

#if !defined(__SANITIZE_ADDRESS__)  // the sanitizer brings its own: there nothing is counted, and the release presets check
void* operator new(std::size_t size) { return counted(size, 1); }
void* operator new[](std::size_t size) { return counted(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) { return counted(size, static_cast<std::size_t>(alignment)); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return counted(size, static_cast<std::size_t>(alignment)); }
// std::stable_sort asks in this form; left out, its memory would come from elsewhere and go to our delete.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { ++requests; return std::malloc(size + (size == 0)); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { ++requests; return std::malloc(size + (size == 0)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif
