// IDX files of unsigned bytes, plain or gzip'd (yann.lecun.com/exdb/mnist): MNIST, Fashion-MNIST.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/atomic_file.hpp>
#include <sfumato/io/mapped_file.hpp>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <ios>
#include <span>
#include <string>
#include <vector>

SFUMATO_BEGIN
namespace io {

/// Grey images, `pixels` is (count, height, width).
struct IdxImages {
  int count = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
};

namespace detail {

inline constexpr std::uint32_t idx_images_magic = 0x00000803, idx_labels_magic = 0x00000801;

/// Reads a plain or gzip'd byte sequence front to back. Errors: "idx-file".
class IdxReader {
 public:
  IdxReader(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {
    gzip_ = bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
    if (gzip_ && inflateInit2(&stream_, 15 + 16) != Z_OK) fail("zlib cannot be initialised");
  }
  IdxReader(const IdxReader&) = delete;
  IdxReader& operator=(const IdxReader&) = delete;
  ~IdxReader() {
    if (gzip_) inflateEnd(&stream_);
  }

  template <class... Parts> [[noreturn]] void fail(const Parts&... parts) const {
    throw Error("idx-file", text("'", name_, "': ", parts...));
  }

  /// The most bytes the file can unpack to: deflate never does better than 1032:1. Asked before any allocation.
  std::uint64_t capacity() const { return gzip_ ? std::uint64_t{1032} * bytes_.size() : bytes_.size(); }

  /// Fills `out`; `what` names it in the error when the file ends before.
  void read(std::span<std::uint8_t> out, const char* what) {
    const std::size_t count = read_some(out);
    if (count < out.size()) fail("truncated: ", what, " needs ", out.size(), " bytes, found ", count);
  }

  std::uint32_t read_u32(const char* what) {
    std::array<std::uint8_t, 4> b{};
    read(b, what);
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
  }

  void expect_magic(std::uint32_t expected, const char* what) {
    const std::uint32_t magic = read_u32("the magic number");
    if (magic != expected) fail(std::hex, "magic number 0x", magic, ", expected 0x", expected, " for u8 ", what);
  }

  void expect_end() {
    std::uint8_t extra = 0;
    if (read_some({&extra, 1}) != 0 || used_ != bytes_.size()) fail("trailing bytes after the last element");
    if (gzip_ && !ended_) fail("truncated: the gzip stream has no end");
  }

 private:
  std::size_t read_some(std::span<std::uint8_t> out) {
    if (!gzip_) {
      const std::size_t count = std::min(out.size(), bytes_.size() - used_);
      if (count > 0) std::memcpy(out.data(), bytes_.data() + used_, count);
      used_ += count;
      return count;
    }
    constexpr std::size_t step = std::size_t{1} << 30;  // zlib counts in 32 bits
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      const std::size_t in = std::min(step, bytes_.size() - used_), room = std::min(step, out.size() - done);
      stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes_.data() + used_));
      stream_.avail_in = static_cast<uInt>(in);
      stream_.next_out = out.data() + done;
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      used_ += in - stream_.avail_in;
      done += room - stream_.avail_out;
      ended_ = status == Z_STREAM_END;
      if (status == Z_BUF_ERROR) break;  // the input ended first
      if (status != Z_OK && !ended_) fail("corrupt gzip data: ", stream_.msg != nullptr ? stream_.msg : "zlib error");
    }
    return done;
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  bool gzip_ = false, ended_ = false;
  std::size_t used_ = 0;
  z_stream stream_{};
};

/// `parts`, one after the other, as a gzip file without a time stamp: the same bytes give the same file.
inline std::vector<std::byte> gzip(std::span<const std::span<const std::uint8_t>> parts, const std::string& name) {
  z_stream stream{};
  check(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK, "write-failed", "cannot write '",
        name, "': zlib cannot be initialised");
  std::vector<std::byte> out;
  std::array<Bytef, 1 << 16> buffer;
  for (std::size_t i = 0; i <= parts.size(); ++i) {
    const bool last = i == parts.size();
    if (!last) {
      stream.next_in = const_cast<Bytef*>(parts[i].data());
      stream.avail_in = static_cast<uInt>(parts[i].size());
    }
    do {
      stream.next_out = buffer.data();
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
      const auto made = std::as_bytes(std::span(buffer)).first(buffer.size() - stream.avail_out);
      out.insert(out.end(), made.begin(), made.end());
    } while (stream.avail_out == 0);
  }
  deflateEnd(&stream);
  return out;
}

/// Writes an IDX file of u8 atomically; gzip'd when the name ends in ".gz".
inline void write_idx(const std::filesystem::path& path, std::uint32_t magic, std::span<const int> extents,
                      std::span<const std::uint8_t> values) {
  std::vector<std::uint8_t> header;
  const auto put = [&header](std::uint32_t word) {
    for (const int shift : {24, 16, 8, 0}) header.push_back(static_cast<std::uint8_t>(word >> shift));
  };
  put(magic);
  std::uint64_t expected = 1;
  for (const int extent : extents) {
    check(extent > 0 && extent <= 1 << 24, "idx-file", "'", path.string(), "': extent ", extent, ", expected 1 to ",
          1 << 24);
    put(static_cast<std::uint32_t>(extent));
    expected = std::min(expected * static_cast<std::uint64_t>(extent), std::uint64_t{1} << 32);  // cannot overflow
  }
  check(expected == values.size() && expected < std::uint64_t{1} << 32, "idx-file", "'", path.string(),
        "': ", values.size(), " values were given for extents of ", expected);
  AtomicFile out(path);
  const std::array parts{std::span<const std::uint8_t>(header), values};
  if (path.extension() == ".gz") {
    out.write(gzip(parts, path.string()));
  } else {
    for (const auto part : parts) out.write(std::as_bytes(part));
  }
  out.commit();
}

}  // namespace detail

/// Images (magic 0x00000803) from memory; `name` stands for the path in messages.
/// Errors: "idx-file" for a wrong magic number, truncation, trailing bytes, corrupt gzip data, absurd sizes.
inline IdxImages parse_idx_images(std::span<const std::byte> bytes, const std::string& name) {
  detail::IdxReader in(bytes, name);
  in.expect_magic(detail::idx_images_magic, "images");
  const std::uint32_t count = in.read_u32("the count"), height = in.read_u32("the height"),
                      width = in.read_u32("the width");
  const bool plausible =
      count > 0 && height > 0 && width > 0 && count <= 1u << 30 && height <= 1u << 14 && width <= 1u << 14;
  if (!plausible) in.fail("absurd size: ", count, " images of ", height, " x ", width);
  const std::uint64_t size = std::uint64_t{count} * height * width;  // at most 2^58
  if (size > in.capacity())
    in.fail("truncated: ", count, " images of ", height, " x ", width, " need ", size,
            " bytes, the file can hold at most ", in.capacity());
  IdxImages out{static_cast<int>(count), static_cast<int>(height), static_cast<int>(width), {}};
  out.pixels.resize(static_cast<std::size_t>(size));
  in.read(out.pixels, "the images");
  in.expect_end();
  return out;
}

/// Labels (magic 0x00000801) from memory; errors as for images.
inline std::vector<std::uint8_t> parse_idx_labels(std::span<const std::byte> bytes, const std::string& name) {
  detail::IdxReader in(bytes, name);
  in.expect_magic(detail::idx_labels_magic, "labels");
  const std::uint32_t count = in.read_u32("the count");
  if (count == 0 || count > 1u << 30) in.fail("absurd size: ", count, " labels");
  if (count > in.capacity())
    in.fail("truncated: ", count, " labels need as many bytes, the file can hold at most ", in.capacity());
  std::vector<std::uint8_t> out(count);
  in.read(out, "the labels");
  in.expect_end();
  return out;
}

/// Images from a file, plain or gzip'd. Errors: "file-open", "idx-file".
inline IdxImages read_idx_images(const std::filesystem::path& path) {
  return parse_idx_images(MappedFile(path).bytes(), path.string());
}
/// Labels from a file, plain or gzip'd. Errors: "file-open", "idx-file".
inline std::vector<std::uint8_t> read_idx_labels(const std::filesystem::path& path) {
  return parse_idx_labels(MappedFile(path).bytes(), path.string());
}

/// Writes images atomically, gzip'd when the name ends in ".gz"; below 4 GiB. Errors: "idx-file", "disk-full",
/// "write-failed".
inline void write_idx_images(const std::filesystem::path& path, const IdxImages& images) {
  const std::array extents{images.count, images.height, images.width};
  detail::write_idx(path, detail::idx_images_magic, extents, images.pixels);
}
/// Writes labels, in the same way.
inline void write_idx_labels(const std::filesystem::path& path, std::span<const std::uint8_t> labels) {
  check(labels.size() <= 1u << 24, "idx-file", "'", path.string(), "': ", labels.size(), " labels, the limit is ",
        1 << 24);
  const std::array extents{static_cast<int>(labels.size())};
  detail::write_idx(path, detail::idx_labels_magic, extents, labels);
}

}  // namespace io
SFUMATO_END
