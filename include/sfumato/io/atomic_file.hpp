// Files that appear whole or not at all: written beside the target, synced, then renamed over it. POSIX only.
#pragma once

#include <sfumato/base/error.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

SFUMATO_BEGIN
namespace io {
namespace detail {

/// The error id for an errno value of a failed write.
inline std::string_view write_error_id(int error) {
  return error == ENOSPC || error == EDQUOT ? "disk-full" : "write-failed";
}

inline std::string system_message(int error) { return std::generic_category().message(error); }

}  // namespace detail

/// A file under construction. Until `commit` returns, the path holds what it held before, even if the process is
/// killed or the disk fills up; a kill may leave `<path>.tmp.<pid>.<n>` behind, which later saves do not mind.
/// Errors: "disk-full" (no space or quota), "write-failed" (anything else); both name the path and the bytes.
class AtomicFile {
 public:
  /// Creates the temporary file in the folder of `path`. A symbolic link is followed; what is not a regular file
  /// (a folder, /dev/null) is refused, because the rename would replace it.
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code error;
    if (const auto target = std::filesystem::canonical(path_, error); !error) {
      check(std::filesystem::is_regular_file(target), "write-failed", "cannot write '", path_.string(),
            "': it exists and is not a regular file");
      path_ = target;
    }
    static std::atomic<unsigned> counter{0};  // two files of one process never share a temporary
    temporary_ = text(path_.string(), ".tmp.", ::getpid(), ".", counter++);
    ::unlink(temporary_.c_str());  // left by a killed process that had our id
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ < 0) {
      const std::string name = std::exchange(temporary_, {});
      fail(errno, text("creating '", name, "'"));
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Without a commit the temporary file is removed and the path is untouched.
  ~AtomicFile() { discard(); }

  /// Appends bytes. After an error the file is discarded: no later call can commit it.
  void write(std::span<const std::byte> bytes) {
    check_open("write");
    while (!bytes.empty()) {
      const ssize_t count = ::write(file_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(errno, text("writing ", bytes.size(), " bytes"));
      written_ += static_cast<std::uint64_t>(count);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  void write(std::string_view characters) { write(std::as_bytes(std::span(characters))); }

  /// Syncs the data, moves the file to its path, syncs the folder.
  void commit() {
    check_open("commit");
    if (::fsync(file_) != 0) fail(errno, "syncing");
    if (::close(std::exchange(file_, -1)) != 0) fail(errno, "closing");
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno, text("renaming '", temporary_, "'"));
    temporary_.clear();
    sync_folder();
  }

  /// Bytes written so far.
  std::uint64_t written() const noexcept { return written_; }

 private:
  void check_open(std::string_view what) const {
    check(file_ >= 0, "write-failed", "cannot ", what, " '", path_.string(), "': it was committed or discarded before");
  }
  [[noreturn]] void fail(int error, std::string_view action) {
    discard();
    throw Error(detail::write_error_id(error), text("cannot write '", path_.string(), "': ", action, " failed after ",
                                                    written_, " bytes written: ", detail::system_message(error)));
  }
  void discard() noexcept {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }
  // A rename is only durable once its folder is; file systems that cannot sync a folder say EINVAL.
  void sync_folder() {
    const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
    const int handle = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0) return;  // a folder one may write but not list
    const int error = ::fsync(handle) == 0 ? 0 : errno;
    ::close(handle);
    if (error != 0 && error != EINVAL) fail(error, text("syncing folder '", folder.string(), "'"));
  }

  std::filesystem::path path_;
  std::string temporary_;
  int file_ = -1;
  std::uint64_t written_ = 0;
};

}  // namespace io
SFUMATO_END
