// The safetensors format: u64 header length, JSON header, bytes (github.com/huggingface/safetensors).
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/atomic_file.hpp>
#include <sfumato/io/detail/safetensors_header.hpp>
#include <sfumato/io/dtype.hpp>
#include <sfumato/io/mapped_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

SFUMATO_BEGIN
namespace io {

/// One tensor of an open file. `bytes` points into the file and is row-major.
struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<Index> shape;  // empty for a scalar
  std::span<const std::byte> bytes;

  /// Number of elements.
  Index size() const { return static_cast<Index>(bytes.size() / byte_size(dtype)); }
};

namespace detail {

/// "[2, 3]".
template <class Extents> std::string shape_text(const Extents& shape) {
  std::string out = "[";
  for (const auto extent : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(extent);
  return out + "]";
}

/// Bytes of a tensor. Throws `id` when an extent is negative or a product of non-zero extents exceeds 2^63 - 1,
/// so that no caller's stride can overflow either.
template <class Extents>
std::uint64_t checked_bytes(const Extents& shape, Dtype dtype, std::string_view id, const std::string& where) {
  std::uint64_t bytes = byte_size(dtype);
  bool empty = false;
  for (const auto extent : shape) {
    check(std::cmp_greater_equal(extent, 0), id, where, "negative extent in shape ", shape_text(shape));
    const auto size = static_cast<std::uint64_t>(extent);
    const std::uint64_t limit = static_cast<std::uint64_t>(std::numeric_limits<Index>::max()) / bytes;
    check(size <= limit, id, where, "shape ", shape_text(shape), " of ", dtype_name(dtype), " overflows 2^63 bytes");
    bytes *= std::max<std::uint64_t>(size, 1);
    empty = empty || size == 0;
  }
  return empty ? 0 : bytes;
}

}  // namespace detail

/// A safetensors file, mapped read-only and taken for hostile: everything is checked before anything is handed out.
/// Errors: "file-open"; "safetensors-header" (length, JSON, keys, fields); "safetensors-tensor" (shapes, offsets,
/// holes, overlaps, alignment); "safetensors-missing"; "safetensors-read".
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path) : file_(path), name_(path.string()) {
    load(file_.bytes());
  }
  /// The same over memory, which must outlive the result; `name` stands for the path in messages.
  static SafetensorsFile parse(std::span<const std::byte> bytes, const std::string& name) {
    return SafetensorsFile(bytes, name);
  }

  /// The path, or what stands for it.
  const std::string& name() const noexcept { return name_; }
  /// All names, in the order of their bytes in the file.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const TensorInfo& tensor : tensors_) out.push_back(tensor.name);
    return out;
  }
  const std::vector<TensorInfo>& tensors() const noexcept { return tensors_; }
  bool contains(std::string_view name) const { return index_.find(name) != index_.end(); }
  /// The tensor of that name; throws "safetensors-missing". Valid as long as this file is.
  const TensorInfo& at(std::string_view name) const {
    const auto found = index_.find(name);
    check(found != index_.end(), "safetensors-missing", "'", name_, "': no tensor '", detail::printable(name),
          "' among ", tensors_.size());
    return tensors_[found->second];
  }
  /// The `__metadata__` entries; empty when there are none.
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

  /// Copies a tensor's elements into `out`, which must hold `tensor.size()` of them. F64, F32, F16 and BF16 convert
  /// to double, float and bf16; integers and bool are read as their own type only. Throws "safetensors-read".
  template <class T> void read(const TensorInfo& tensor, std::span<T> out) const {
    check(out.size() == static_cast<std::size_t>(tensor.size()), "safetensors-read", where(tensor.name), "shape ",
          detail::shape_text(tensor.shape), " has ", tensor.size(), " elements, room was given for ", out.size());
    if constexpr (Element<T>) {
      if (detail::convert_floats(tensor.dtype, tensor.bytes, out)) return;
    } else if (tensor.dtype == dtype_of<T>()) {
      if constexpr (std::is_same_v<T, bool>) {
        std::transform(tensor.bytes.begin(), tensor.bytes.end(), out.begin(),
                       [](std::byte b) { return b != std::byte{0}; });
        return;
      } else {
        return detail::convert<T>(tensor.bytes, out);
      }
    }
    throw Error("safetensors-read",
                text(where(tensor.name), "cannot read ", dtype_name(tensor.dtype), " as ", dtype_name(dtype_of<T>())));
  }

 private:
  SafetensorsFile(std::span<const std::byte> bytes, const std::string& name) : name_(name) { load(bytes); }

  void load(std::span<const std::byte> file) {
    check(file.size() >= 8, "safetensors-header", "'", name_, "': ", file.size(), " bytes, expected at least 8");
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    check(length <= detail::max_header_bytes, "safetensors-header", "'", name_, "': header of ", length,
          " bytes, the limit is ", detail::max_header_bytes);
    check(length <= file.size() - 8, "safetensors-header", "'", name_, "': header of ", length,
          " bytes reaches beyond the file of ", file.size());
    const auto header_bytes = static_cast<std::size_t>(length);
    detail::SafetensorsHeader header({reinterpret_cast<const char*>(file.data()) + 8, header_bytes}, name_);
    metadata_ = std::move(header.metadata);
    place(std::move(header.entries), file, 8 + header_bytes);
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  }

  // The tensors, sorted by offset, must tile the bytes from `begin` to the end of the file.
  void place(std::vector<detail::HeaderEntry> entries, std::span<const std::byte> file, std::size_t begin) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return a.data_offsets < b.data_offsets; });
    const std::uint64_t available = file.size() - begin;
    std::uint64_t reached = 0;
    tensors_.reserve(entries.size());
    for (detail::HeaderEntry& entry : entries) {
      const std::uint64_t first = entry.data_offsets[0], last = entry.data_offsets[1];
      const auto require = [&](bool condition, const auto&... parts) {
        if (!condition)
          throw Error("safetensors-tensor",
                      text(where(entry.name), "data_offsets [", first, ", ", last, "] ", parts...));
      };
      require(first <= last, "are reversed");
      require(last <= available, "reach beyond the ", available, " bytes of data");
      const std::size_t element = byte_size(*entry.dtype);
      const auto expected = detail::checked_bytes(entry.shape, *entry.dtype, "safetensors-tensor", where(entry.name));
      require(last - first == expected, "hold ", last - first, " bytes, but shape ", detail::shape_text(entry.shape),
              " of ", dtype_name(*entry.dtype), " needs ", expected);
      require(first >= reached, "overlap the tensor before, which ends at ", reached);
      require(first == reached, "leave a hole after ", reached);
      require((begin + first) % element == 0, "begin at byte ", begin + first, " of the file, which is not aligned to ",
              element);
      reached = last;
      tensors_.push_back({std::move(entry.name),
                          *entry.dtype,
                          {entry.shape.begin(), entry.shape.end()},
                          file.subspan(begin + first, static_cast<std::size_t>(expected))});
    }
    check(reached == available, "safetensors-tensor", "'", name_, "': ", available - reached,
          " trailing bytes belong to no tensor");
  }

  std::string where(std::string_view tensor) const {
    return text("'", name_, "': tensor '", detail::printable(tensor), "': ");
  }

  MappedFile file_;
  std::string name_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

/// One tensor to be saved; `data` holds its row-major elements.
struct TensorToWrite {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<Index> shape;
  const void* data = nullptr;
  /// Where `data` is null: asked for the elements when they are written, so that not all need be in memory at once. They
  /// must hold until the next is asked.
  std::function<const void*()> fetch = {};
};

namespace detail {

/// The header for tensors already in file order, padded with spaces so that the data begins 8-byte aligned.
inline std::string safetensors_header(std::span<const TensorToWrite> tensors, std::span<const std::uint64_t> sizes,
                                      const std::map<std::string, std::string>& metadata) {
  const auto quoted = [](const std::string& name) { return nlohmann::json(name).dump(); };  // throws unless UTF-8
  std::string out = "{";
  if (!metadata.empty()) {
    out += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) out += quoted(key) + ":" + quoted(value) + ",";
    out.back() = '}';
    out += ',';
  }
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    out += text(quoted(tensors[i].name), ":{\"dtype\":\"", dtype_name(tensors[i].dtype),
                "\",\"shape\":", shape_text(tensors[i].shape), ",\"data_offsets\":[", offset, ",", offset + sizes[i],
                "]},");
    offset += sizes[i];
  }
  if (out.back() == ',') out.pop_back();
  out += '}';
  out.resize((out.size() + 7) / 8 * 8, ' ');
  return out;
}

}  // namespace detail

/// Saves tensors and metadata atomically (see AtomicFile). The bytes depend on the arguments only. Tensors go by
/// descending element size, else in the given order, which aligns each of them without holes.
/// Errors: "safetensors-write" (names, shapes, null data), "disk-full", "write-failed".
inline void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  const std::string id = "safetensors-write", file = text("'", path.string(), "': ");
  std::vector<TensorToWrite> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return byte_size(a.dtype) > byte_size(b.dtype); });
  std::vector<std::uint64_t> sizes;
  std::unordered_set<std::string> names{"__metadata__"};
  std::uint64_t total = 0;
  for (const TensorToWrite& tensor : ordered) {
    const std::string where = text(file, "tensor '", detail::printable(tensor.name), "': ");
    check(names.insert(tensor.name).second, id, where, "the name is reserved or used twice");
    check(tensor.shape.size() <= detail::max_rank, id, where, tensor.shape.size(), " extents, the limit is ",
          detail::max_rank);
    sizes.push_back(detail::checked_bytes(tensor.shape, tensor.dtype, id, where));
    check(tensor.data != nullptr || tensor.fetch || sizes.back() == 0, id, where, "no data for ", sizes.back(), " bytes");
    total += sizes.back();
    check(total <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max()), id, where,
          "the sum of sizes overflows");
  }
  std::string header;
  try {
    header = detail::safetensors_header(ordered, sizes, metadata);
  } catch (const nlohmann::json::exception& error) {
    throw Error(id, text(file, "a name or metadata entry is not UTF-8: ", detail::printable(error.what())));
  }
  check(header.size() <= detail::max_header_bytes, id, file, "the header would have ", header.size(),
        " bytes, the limit is ", detail::max_header_bytes);
  AtomicFile out(path);
  const std::uint64_t length = header.size();
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(header);
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    const void* const data = ordered[i].data == nullptr && ordered[i].fetch ? ordered[i].fetch() : ordered[i].data;
    check(data != nullptr || sizes[i] == 0, id, file, "tensor '", detail::printable(ordered[i].name), "': no data for ", sizes[i], " bytes");
    out.write({static_cast<const std::byte*>(data), static_cast<std::size_t>(sizes[i])});
  }
  out.commit();
}

}  // namespace io
SFUMATO_END
