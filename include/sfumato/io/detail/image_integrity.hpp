// stb_image checks neither PNG checksums nor whether a JPEG ends: it fills what is missing with grey. A damaged
// training image must be an error, so the containers are walked first.
#pragma once

#include <sfumato/base/error.hpp>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

SFUMATO_BEGIN
namespace io {
namespace detail {

inline std::uint32_t big_endian(std::span<const std::byte> bytes) {
  std::uint32_t out = 0;
  for (const std::byte b : bytes) out = out << 8 | std::to_integer<std::uint32_t>(b);
  return out;
}

inline bool is_png(std::span<const std::byte> bytes) {
  constexpr std::array<std::uint8_t, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return bytes.size() >= 8 && std::equal(signature.begin(), signature.end(), bytes.begin(),
                                         [](std::uint8_t a, std::byte b) { return std::byte{a} == b; });
}

inline bool is_jpeg(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && big_endian(bytes.first(3)) == 0xffd8ff;
}

/// Every chunk up to IEND lies in the file and has its checksum. What follows IEND is not looked at.
inline void check_png(std::span<const std::byte> bytes, const std::string& name) {
  constexpr std::uint32_t iend = 0x49454e44;
  for (std::size_t at = 8;;) {
    check(bytes.size() - at >= 12, "image-file", "'", name, "': truncated PNG: no chunk at byte ", at, " of ",
          bytes.size());
    const std::size_t length = big_endian(bytes.subspan(at, 4));
    check(length <= bytes.size() - at - 12, "image-file", "'", name, "': truncated PNG: a chunk of ", length,
          " bytes at byte ", at, " of ", bytes.size());
    const auto body = bytes.subspan(at + 4, length + 4);  // type and data
    const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size());
    check(crc == big_endian(bytes.subspan(at + 8 + length, 4)), "image-file", "'", name,
          "': corrupt PNG: wrong checksum in the chunk at byte ", at);
    if (big_endian(body.first(4)) == iend) return;
    at += 12 + length;
  }
}

/// The tables of a DHT segment fit it, with at most 256 codes each: stb_image 2.27 writes past its tables
/// otherwise.
inline void check_huffman_tables(std::span<const std::byte> segment, const std::string& name) {
  while (!segment.empty()) {
    std::size_t codes = 0;
    for (std::size_t i = 1; i < std::min<std::size_t>(segment.size(), 17); ++i)
      codes += std::to_integer<std::size_t>(segment[i]);
    check(segment.size() >= 17 && codes <= 256 && codes <= segment.size() - 17, "image-file", "'", name,
          "': corrupt JPEG: a Huffman table of ", codes, " codes in ", segment.size(), " bytes");
    segment = segment.subspan(17 + codes);
  }
}

/// The markers lead to an end-of-image marker, through the entropy-coded data of every scan.
inline void check_jpeg(std::span<const std::byte> bytes, const std::string& name) {
  bool in_scan = false, has_tables = false;
  for (std::size_t at = 2; at + 1 < bytes.size();) {
    const auto next = bytes[at + 1];
    const bool restart = next >= std::byte{0xd0} && next <= std::byte{0xd7};
    if (bytes[at] != std::byte{0xff} || next == std::byte{0xff}) {
      ++at;  // coded data, or fill before a marker
    } else if (next == std::byte{0} || (in_scan && restart)) {
      at += 2;
    } else if (next == std::byte{0xd9}) {
      return;
    } else {
      if (bytes.size() - at < 4) break;
      const std::size_t length = big_endian(bytes.subspan(at + 2, 2));
      if (length < 2 || length > bytes.size() - at - 2) break;
      if (next == std::byte{0xc4}) {
        check_huffman_tables(bytes.subspan(at + 4, length - 2), name);
        has_tables = true;
      }
      in_scan = next == std::byte{0xda};
      check(!in_scan || has_tables, "image-file", "'", name, "': corrupt JPEG: a scan before any Huffman table");
      at += 2 + length;
    }
  }
  throw Error("image-file", text("'", name, "': truncated JPEG: its markers do not lead to an end of image in ",
                                 bytes.size(), " bytes"));
}

}  // namespace detail
}  // namespace io
SFUMATO_END
