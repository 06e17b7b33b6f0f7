// libFuzzer: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/image.cpp -lz
// With -rss_limit_mb=4096 -max_len=4096, as cmake/Fuzz.cmake runs it: 4 kB may declare 33 million pixels.
#include <sfumato/io/image.hpp>

#include <cstdint>
#include <vector>

using namespace sfumato::io;

namespace {

// Puts the right checksum into every PNG chunk: the fuzzer would never guess one, and the decoder would never be
// reached.
void mend_checksums(std::vector<std::byte>& bytes) {
  if (!detail::is_png(bytes)) return;
  for (std::size_t at = 8; bytes.size() - at >= 12;) {
    const std::size_t length = detail::big_endian(std::span(bytes).subspan(at, 4));
    if (length > bytes.size() - at - 12) return;
    const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data() + at + 4), length + 4);
    for (std::size_t i = 0; i < 4; ++i) bytes[at + 8 + length + i] = static_cast<std::byte>(crc >> (24 - 8 * i));
    at += 12 + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = std::as_bytes(std::span(data, size));
  std::vector<std::byte> bytes(input.begin() + 1, input.end());
  mend_checksums(bytes);
  const int channels = 1 + data[0] % 4;
  try {
    const Image image = parse_image(bytes, channels, "fuzz");
    detail::check_image(image, "fuzz");
    if (image.pixels.size() < 1 << 16) center_crop(image, 1 + data[0] % 32);
  } catch (const sfumato::Error&) {
  }
  return 0;
}
