// libFuzzer: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/idx.cpp -lz
#include <sfumato/io/idx.hpp>

#include <cstdint>
#include <cstdlib>
#include <vector>

using namespace sfumato::io;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const IdxImages images = parse_idx_images(bytes, "fuzz");
    const auto count = static_cast<std::size_t>(images.count),
               area = static_cast<std::size_t>(images.height * images.width);
    if (images.pixels.size() != count * area) std::abort();
  } catch (const sfumato::Error&) {
  }
  try {
    if (parse_idx_labels(bytes, "fuzz").empty()) std::abort();
  } catch (const sfumato::Error&) {
  }
  return 0;
}
