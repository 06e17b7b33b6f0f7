// A file's bytes, mapped read-only. POSIX only.
#pragma once

#include <sfumato/base/error.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

SFUMATO_BEGIN
namespace io {

/// Maps a regular file read-only; move-only. Replacing the file (as AtomicFile does) leaves the mapping whole;
/// cutting it short in place while mapped is beyond what mmap can survive (SIGBUS).
/// Errors: "file-open" naming the path and the reason.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path) {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) fail(path, errno);
    struct stat status = {};
    const int error = ::fstat(file, &status) == 0 ? 0 : errno;
    const bool regular = S_ISREG(status.st_mode);
    if (error == 0 && regular && status.st_size > 0) {
      size_ = static_cast<std::size_t>(status.st_size);
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    }
    const int map_error = data_ == MAP_FAILED ? errno : error;
    ::close(file);
    if (map_error != 0) {
      data_ = nullptr;
      fail(path, map_error);
    }
    check(regular, "file-open", "cannot open '", path.string(), "': not a regular file");
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  std::span<const std::byte> bytes() const noexcept { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  [[noreturn]] static void fail(const std::filesystem::path& path, int error) {
    throw Error("file-open", text("cannot open '", path.string(), "': ", std::generic_category().message(error)));
  }

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace io
SFUMATO_END
