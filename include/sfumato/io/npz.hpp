// A .npz with one array `arr_0` of u8, as ADM's evaluation suite and the FID tools read it: an uncompressed zip64.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/atomic_file.hpp>

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

SFUMATO_BEGIN
namespace io {

/// Writes the array piece by piece, straight to the disk: memory use does not depend on its size. Always zip64, so that
/// one way of writing serves 10 kB and 10 GB. The file appears with `commit`.
/// Errors: "npz-size", "disk-full", "write-failed".
class NpzWriter {
 public:
  /// `shape`: (count, height, width, channels), or any other with positive extents.
  NpzWriter(const std::filesystem::path& path, std::span<const Index> shape) : name_(path.string()), file_(path) {
    std::string extents;
    for (const Index extent : shape) {
      check(extent > 0 && extent <= std::numeric_limits<Index>::max() / expected_, "npz-size", "'", name_, "': extent ",
            extent, " in a shape with ", shape.size(), " extents, expected positive ones and less than 2^63 values");
      expected_ *= extent;
      extents += std::to_string(extent) + ", ";
    }
    check(!shape.empty() && shape.size() <= 32, "npz-size", "'", name_, "': ", shape.size(),
          " extents, expected 1 to 32");
    if (shape.size() > 1) extents.resize(extents.size() - 2);  // Python's (3,) but (3, 4)
    std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + extents + "), }";
    header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');  // 10 bytes before, a newline after
    header += '\n';
    npy_bytes_ = 10 + header.size() + static_cast<std::uint64_t>(expected_);
    put_local_header();
    std::string prefix("\x93NUMPY\x01\x00", 8);
    append_little_endian(prefix, header.size(), 2);
    put_data(std::as_bytes(std::span(prefix += header)));
  }

  /// The next values, row-major.
  void append(std::span<const std::uint8_t> values) {
    check(std::cmp_less_equal(values.size(), expected_ - appended_), "npz-size", "'", name_, "': ", values.size(),
          " values after ", appended_, " of ", expected_);
    put_data(std::as_bytes(values));
    appended_ += static_cast<Index>(values.size());
  }

  /// Writes the zip's directory and makes the file appear.
  void commit() {
    check(appended_ == expected_, "npz-size", "'", name_, "': ", appended_, " values were given, the shape needs ",
          expected_);
    std::string out;
    append_little_endian(out, 0x08074b50, 4);  // data descriptor
    append_little_endian(out, crc_, 4);
    append_little_endian(out, npy_bytes_, 8);
    append_little_endian(out, npy_bytes_, 8);
    file_.write(out);
    put_directory();
    file_.commit();
  }

 private:
  static constexpr std::string_view entry_ = "arr_0.npy";

  static void append_little_endian(std::string& out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  }

  void put_data(std::span<const std::byte> bytes) {
    crc_ = static_cast<std::uint32_t>(crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
    file_.write(bytes);
  }

  // The fields that the local header and the directory share, from "version needed" to "extra length".
  void append_common(std::string& out, std::uint64_t extra_bytes, std::uint32_t crc) const {
    append_little_endian(out, 45, 2);      // version 4.5: zip64
    append_little_endian(out, 1 << 3, 2);  // the checksum follows the data
    append_little_endian(out, 0, 2);       // stored
    append_little_endian(out, 0, 2);       // time and date: 1980-01-01, so that equal arrays give equal files
    append_little_endian(out, 0x21, 2);
    append_little_endian(out, crc, 4);
    append_little_endian(out, 0xffffffff, 4);  // both sizes stand in the zip64 extra field
    append_little_endian(out, 0xffffffff, 4);
    append_little_endian(out, entry_.size(), 2);
    append_little_endian(out, extra_bytes, 2);
  }

  void put_local_header() {
    std::string out;
    append_little_endian(out, 0x04034b50, 4);
    append_common(out, 20, 0);
    out += entry_;
    append_little_endian(out, 1, 2);  // zip64 extra: two sizes
    append_little_endian(out, 16, 2);
    append_little_endian(out, npy_bytes_, 8);
    append_little_endian(out, npy_bytes_, 8);
    file_.write(out);
  }

  void put_directory() {
    const std::uint64_t begin = file_.written();
    std::string out;
    append_little_endian(out, 0x02014b50, 4);
    append_little_endian(out, 45, 2);
    append_common(out, 28, crc_);
    out.append(10, '\0');                      // no comment, disk 0, no attributes
    append_little_endian(out, 0xffffffff, 4);  // the offset stands in the extra field
    out += entry_;
    append_little_endian(out, 1, 2);  // zip64 extra: two sizes, the offset of the local header
    append_little_endian(out, 24, 2);
    append_little_endian(out, npy_bytes_, 8);
    append_little_endian(out, npy_bytes_, 8);
    append_little_endian(out, 0, 8);
    const std::uint64_t size = out.size();
    append_little_endian(out, 0x06064b50, 4);  // zip64 end of directory
    append_little_endian(out, 44, 8);
    append_little_endian(out, 45, 2);
    append_little_endian(out, 45, 2);
    append_little_endian(out, 0, 8);  // this disk, the directory's disk
    append_little_endian(out, 1, 8);
    append_little_endian(out, 1, 8);
    append_little_endian(out, size, 8);
    append_little_endian(out, begin, 8);
    append_little_endian(out, 0x07064b50, 4);  // where that is
    append_little_endian(out, 0, 4);
    append_little_endian(out, begin + size, 8);
    append_little_endian(out, 1, 4);
    append_little_endian(out, 0x06054b50, 4);  // end of directory: see the zip64 one
    append_little_endian(out, 0, 4);
    append_little_endian(out, 0xffffffff, 4);  // twice one u16, the number of entries
    append_little_endian(out, 0xffffffff, 4);
    append_little_endian(out, 0xffffffff, 4);
    append_little_endian(out, 0, 2);
    file_.write(out);
  }

  std::string name_;
  AtomicFile file_;
  Index expected_ = 1, appended_ = 0;
  std::uint64_t npy_bytes_ = 0;
  std::uint32_t crc_ = 0;
};

/// Writes values of that shape as `arr_0`. Errors as for NpzWriter.
inline void write_npz(const std::filesystem::path& path, std::span<const std::uint8_t> values,
                      std::span<const Index> shape) {
  NpzWriter out(path, shape);
  out.append(values);
  out.commit();
}

}  // namespace io
SFUMATO_END
