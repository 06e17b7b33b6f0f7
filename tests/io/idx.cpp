// IDX files: round trips, and every way a file can be wrong.
#include <sfumato/io/idx.hpp>

#include "support.hpp"

#include <numeric>

using namespace io_test;
using namespace sfumato::io;

namespace {

std::string word(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}
std::string images_header(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  return word(0x803) + word(count) + word(height) + word(width);
}
std::string gzipped(const std::string& content) {
  const std::span part(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
  const auto bytes = detail::gzip(std::array{part}, "test");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
// Both plain and gzip'd.
void check_images_refused(const std::string& content, std::initializer_list<std::string_view> words) {
  check_error([&] { parse_idx_images(bytes_of(content), "a.idx"); }, "idx-file", words);
  check_error([&] { parse_idx_images(bytes_of(gzipped(content)), "a.idx"); }, "idx-file", {"'a.idx'"});
}
void check_labels_refused(const std::string& content, std::initializer_list<std::string_view> words) {
  check_error([&] { parse_idx_labels(bytes_of(content), "a.idx"); }, "idx-file", words);
  check_error([&] { parse_idx_labels(bytes_of(gzipped(content)), "a.idx"); }, "idx-file", {"'a.idx'"});
}

}  // namespace

TEST_CASE("round trips, plain and gzip'd") {
  const TemporaryDirectory folder;
  IdxImages images{7, 5, 3, std::vector<std::uint8_t>(105)};
  std::iota(images.pixels.begin(), images.pixels.end(), std::uint8_t{0});
  const std::vector<std::uint8_t> labels{9, 0, 255};
  for (const char* name : {"a.idx", "a.idx.gz"}) {
    write_idx_images(folder / name, images);
    const IdxImages read = read_idx_images(folder / name);
    CHECK(read.count == 7);
    CHECK(read.height == 5);
    CHECK(read.width == 3);
    CHECK(read.pixels == images.pixels);
    write_idx_labels(folder / name, labels);
    CHECK(read_idx_labels(folder / name) == labels);
  }
  CHECK(read_all(folder / "a.idx.gz").starts_with("\x1f\x8b"));
  const std::string once = read_all(folder / "a.idx.gz");
  write_idx_labels(folder / "a.idx.gz", labels);
  CHECK(read_all(folder / "a.idx.gz") == once);
}

TEST_CASE("refused images") {
  check_images_refused("", {"'a.idx'", "truncated", "magic number needs 4", "found 0"});
  check_images_refused(word(0x803) + "ab", {"truncated", "count"});
  check_images_refused(word(0x801) + word(1) + "x", {"magic number 0x801", "expected 0x803", "images"});
  check_images_refused(word(0xd03) + word(1), {"magic number 0xd03"});
  check_images_refused(images_header(2, 2, 2) + "1234567", {"truncated", "images"});
  check_images_refused(images_header(2, 2, 2) + "123456789", {"trailing bytes"});
  check_images_refused(images_header(0, 2, 2), {"absurd size: 0 images of 2 x 2"});
  check_images_refused(images_header(1, 0, 2), {"absurd size"});
  check_images_refused(images_header(0xffffffff, 0xffffffff, 0xffffffff), {"absurd size: 4294967295"});
  check_images_refused(images_header(1u << 30, 1u << 14, 1u << 14),
                       {"truncated", "288230376151711744 bytes", "at most 16"});
}

TEST_CASE("refused labels") {
  check_labels_refused(word(0x803) + word(1) + "x", {"magic number 0x803", "expected 0x801", "labels"});
  check_labels_refused(word(0x801) + word(3) + "xy", {"truncated"});
  check_labels_refused(word(0x801) + word(3) + "xyz1", {"trailing bytes"});
  check_labels_refused(word(0x801) + word(0), {"absurd size: 0 labels"});
  check_labels_refused(word(0x801) + word(0xffffffff), {"absurd size"});
}

TEST_CASE("damaged gzip data") {
  std::string content = images_header(1, 64, 64);
  for (int i = 0; i < 64 * 64; ++i) content += static_cast<char>(i * i >> 3);
  const std::string good = gzipped(content);
  CHECK(parse_idx_images(bytes_of(good), "a.gz").count == 1);
  const auto refused = [](const std::string& file, std::initializer_list<std::string_view> words) {
    check_error([&] { parse_idx_images(bytes_of(file), "a.gz"); }, "idx-file", words);
  };
  for (std::size_t length = 0; length < good.size(); ++length) refused(good.substr(0, length), {"'a.gz'"});
  refused(good.substr(0, good.size() - 5), {"truncated"});
  refused(good + "x", {"trailing bytes"});
  refused(good + good, {"trailing bytes"});
  std::string flipped = good;
  flipped[good.size() - 6] = static_cast<char>(flipped[good.size() - 6] ^ 1);  // the checksum
  refused(flipped, {"corrupt gzip data", "incorrect data check"});
  refused(std::string("\x1f\x8b\x07", 3) + good, {"corrupt gzip data"});
  refused(gzipped(images_header(1u << 20, 64, 64)),
          {"truncated", "4294967296 bytes"});  // refused before it is allocated
}

TEST_CASE("what cannot be written or opened") {
  const TemporaryDirectory folder;
  check_error(
      [&] {
        write_idx_images(folder / "a.gz", {2, 2, 2, {1, 2, 3}});
      },
      "idx-file", {"a.gz", "3 values", "extents of 8"});
  check_error([&] { write_idx_images(folder / "a.gz", {-1, 2, 2, {}}); }, "idx-file", {"extent -1"});
  check_error([&] { write_idx_labels(folder / "a.gz", {}); }, "idx-file", {"extent 0"});
  check_error([&] { read_idx_labels(folder / "none"); }, "file-open", {"none"});
  CHECK(folder.entries() == 0);
}
