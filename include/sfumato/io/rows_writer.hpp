// Files of many rows that take long to work out: written as they come, over several runs if need be, and whole in the end. POSIX only.
#pragma once

#include <sfumato/io/safetensors.hpp>

#include <algorithm>
#include <limits>
#include <utility>

SFUMATO_BEGIN
namespace io {

/// A tensor (rows, shape...).
struct RowColumn {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<Index> shape;  ///< of one row
};

/// Tensors of equally many rows, appended some at a time. Until `commit` writes them to `path` as safetensors they lie in `<path>.<name>.part`, and in
/// `<path>.part` what they were made with: a later RowsWriter of the same columns and settings goes on behind the last row that all of them have.
/// Errors: "rows-settings" where it finds others, "rows-write" (sizes), "disk-full", "write-failed".
class RowsWriter {
 public:
  RowsWriter(std::filesystem::path path, const std::vector<RowColumn>& columns, const std::map<std::string, std::string>& settings) : path_(std::move(path)), settings_(settings) {
    check(!columns.empty(), "rows-write", "'", path_.string(), "': no tensors");
    for (const RowColumn& column : columns) {
      const std::string where = text("'", path_.string(), "': tensor '", detail::printable(column.name), "': ");
      const std::uint64_t bytes = detail::checked_bytes(column.shape, column.dtype, "rows-write", where);
      check(bytes > 0, "rows-write", where, "rows of no bytes");
      check(column.name.find('/') == std::string::npos, "rows-write", where, "a name with a slash is none for a file");
      for (const Part& other : parts_) check(other.column.name != column.name, "rows-write", where, "the name is used twice");
      parts_.push_back({column, bytes, path_.string() + "." + column.name + ".part", {}});
    }
    const std::vector<std::string> wanted = describe();
    if (std::filesystem::exists(note())) {
      require_same(wanted);
    } else {
      for (const Part& part : parts_) std::filesystem::remove(part.file_name);
      AtomicFile file(note());
      for (const std::string& line : wanted) file.write(line + "\n");
      file.commit();
    }
    open();
  }

  /// Rows that are there.
  Index done() const { return done_; }
  /// The elements of some rows, one span for each column, in their order. What fails leaves none of them.
  void append(std::span<const std::span<const std::byte>> rows) {
    check(!committed_, "rows-write", "'", path_.string(), "' was committed before");
    check(rows.size() == parts_.size(), "rows-write", "'", path_.string(), "' has ", parts_.size(), " tensors, given ", rows.size());
    const std::uint64_t count = rows[0].size() / parts_[0].row_bytes;
    for (std::size_t i = 0; i < rows.size(); ++i)
      check(rows[i].size() == count * parts_[i].row_bytes, "rows-write", "'", path_.string(), "': tensor '", detail::printable(parts_[i].column.name), "': ", rows[i].size(), " bytes are not ", count, " rows of ", parts_[i].row_bytes);
    try {
      for (std::size_t i = 0; i < rows.size(); ++i) write(parts_[i], rows[i]);
      for (const Part& part : parts_)
        if (::fdatasync(part.file.number) != 0) fail(part, errno);
    } catch (...) {
      cut(static_cast<std::uint64_t>(done_));
      throw;
    }
    done_ += static_cast<Index>(count);
  }
  /// Writes the file, with the settings and `more` as metadata, and removes the parts. Nothing may follow.
  void commit(std::map<std::string, std::string> more = {}) {
    check(!committed_, "rows-write", "'", path_.string(), "' was committed before");
    const std::vector<MappedFile> maps = mapped();
    std::vector<TensorToWrite> tensors;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      std::vector<Index> shape{done_};
      shape.insert(shape.end(), parts_[i].column.shape.begin(), parts_[i].column.shape.end());
      tensors.push_back({parts_[i].column.name, parts_[i].column.dtype, std::move(shape), maps[i].bytes().data(), {}});
    }
    more.insert(settings_.begin(), settings_.end());
    write_safetensors(path_, tensors, more);
    committed_ = true;
    for (const Part& part : parts_) std::filesystem::remove(part.file_name);
    std::filesystem::remove(note());
  }
  /// What has been appended, by column.
  std::vector<MappedFile> mapped() const {
    std::vector<MappedFile> maps;
    for (const Part& part : parts_) maps.emplace_back(part.file_name);
    return maps;
  }

 private:
  struct OpenFile {
    int number = -1;
    OpenFile() = default;
    OpenFile(OpenFile&& other) noexcept : number(std::exchange(other.number, -1)) {}
    OpenFile& operator=(OpenFile&& other) noexcept {
      std::swap(number, other.number);
      return *this;
    }
    ~OpenFile() {
      if (number >= 0) ::close(number);
    }
  };
  struct Part {
    RowColumn column;
    std::uint64_t row_bytes;
    std::string file_name;
    OpenFile file;
  };

  std::filesystem::path note() const { return path_.string() + ".part"; }
  std::vector<std::string> describe() const {
    std::vector<std::string> lines;
    for (const Part& part : parts_) lines.push_back(text(part.column.name, ": ", dtype_name(part.column.dtype), " ", detail::shape_text(part.column.shape)));
    for (const auto& [name, value] : settings_) lines.push_back(text(name, " = ", value));
    return lines;
  }
  /// Throws with the lines that an earlier run has otherwise.
  void require_same(const std::vector<std::string>& wanted) const {
    const MappedFile file(note());
    std::string_view rest{reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
    std::vector<std::string> found;
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size());
      found.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    std::string differences;
    const auto list = [&](const char* kind, const auto& lines, const auto& others) {
      for (const std::string& line : lines)
        if (std::find(others.begin(), others.end(), line) == others.end()) differences += text("\n  ", kind, ": ", detail::printable(line));
    };
    list("found", found, wanted);
    list("expected", wanted, found);
    check(found == wanted, "rows-settings", "'", note().string(), "' is of an earlier run with other settings; remove it to begin anew:", differences);
  }
  [[noreturn]] static void fail(const Part& part, int error) {
    throw Error(detail::write_error_id(error), text("cannot write '", part.file_name, "': ", detail::system_message(error)));
  }
  /// Opens the parts and cuts them to the rows that all of them have.
  void open() {
    std::uint64_t rows = std::numeric_limits<std::uint64_t>::max();
    for (Part& part : parts_) {
      part.file.number = ::open(part.file_name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
      if (part.file.number < 0) fail(part, errno);
      const off_t size = ::lseek(part.file.number, 0, SEEK_END);
      if (size < 0) fail(part, errno);
      rows = std::min(rows, static_cast<std::uint64_t>(size) / part.row_bytes);
    }
    if (const Part* const failed = cut(rows)) fail(*failed, errno);
    done_ = static_cast<Index>(rows);
  }
  /// Leaves so many rows in every part; the part where that cannot be done, or null.
  const Part* cut(std::uint64_t rows) const {
    for (const Part& part : parts_) {
      const auto end = static_cast<off_t>(rows * part.row_bytes);
      if (::ftruncate(part.file.number, end) != 0 || ::lseek(part.file.number, end, SEEK_SET) != end) return &part;
    }
    return nullptr;
  }
  static void write(const Part& part, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(part.file.number, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(part, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

  std::filesystem::path path_;
  std::map<std::string, std::string> settings_;
  std::vector<Part> parts_;
  Index done_ = 0;
  bool committed_ = false;
};

}  // namespace io
SFUMATO_END
