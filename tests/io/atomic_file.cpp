// AtomicFile: whole or not at all, also when the process is killed or the disk is full.
#include <sfumato/base/random.hpp>
#include <sfumato/io/atomic_file.hpp>
#include <sfumato/io/mapped_file.hpp>
#include <sfumato/io/safetensors.hpp>

#include "support.hpp"

#if defined(__linux__)
#include <sched.h>
#include <sys/mount.h>
#endif
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <vector>

using namespace io_test;
using sfumato::io::AtomicFile;

namespace {

// Two versions of a checkpoint, told apart by every value and by their sizes.
void save_version(const std::filesystem::path& path, int version) {
  const std::vector<float> values(static_cast<std::size_t>(50'000 + 50'000 * version), static_cast<float>(version));
  const sfumato::io::TensorToWrite tensor{
      "weight", sfumato::io::Dtype::f32, {static_cast<sfumato::Index>(values.size())}, values.data()};
  sfumato::io::write_safetensors(path, {&tensor, 1}, {{"version", std::to_string(version)}});
}

bool holds_one_version(const std::filesystem::path& path) {
  const sfumato::io::SafetensorsFile file(path);
  const auto& tensor = file.at("weight");
  std::vector<float> values(static_cast<std::size_t>(tensor.size()));
  file.read<float>(tensor, values);
  const int version = std::stoi(file.metadata().at("version"));
  if (values.size() != static_cast<std::size_t>(50'000 + 50'000 * version)) return false;
  for (const float value : values)
    if (value != static_cast<float>(version)) return false;
  return true;
}

}  // namespace

TEST_CASE("a commit replaces the file, no commit leaves it") {
  const TemporaryDirectory folder;
  const auto path = folder / "a.txt";
  {
    AtomicFile file(path);
    file.write("first ");
    file.write("version");
    CHECK(file.written() == 13);
    CHECK(!std::filesystem::exists(path));
    file.commit();
    check_error([&] { file.write("more"); }, "write-failed", {path.string(), "committed"});
    check_error([&] { file.commit(); }, "write-failed", {path.string(), "committed"});
  }
  CHECK(read_all(path) == "first version");
  {
    AtomicFile file(path);
    file.write("second");
  }
  CHECK(read_all(path) == "first version");
  {
    AtomicFile one(path), two(path);
    one.write("one");
    two.write("two");
    two.commit();
    one.commit();
  }
  CHECK(read_all(path) == "one");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a symbolic link is followed, not replaced") {
  const TemporaryDirectory folder;
  write_all(folder / "target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  AtomicFile file(folder / "link");
  file.write("new");
  file.commit();
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_all(folder / "target") == "new");
}

TEST_CASE("paths that cannot be written are errors") {
  const TemporaryDirectory folder;
  check_error([&] { AtomicFile(folder / "missing/a.txt"); }, "write-failed", {"missing/a.txt", "No such file"});
  check_error([&] { AtomicFile file(folder.path()); }, "write-failed", {folder.path().string(), "not a regular file"});
  check_error([&] { AtomicFile file("/dev/null"); }, "write-failed", {"/dev/null", "not a regular file"});
}

TEST_CASE("mapped files") {
  const TemporaryDirectory folder;
  write_all(folder / "empty", "");
  CHECK(sfumato::io::MappedFile(folder / "empty").bytes().empty());
  write_all(folder / "full", "abc");
  sfumato::io::MappedFile first(folder / "full"), second;
  second = std::move(first);
  CHECK(second.bytes().size() == 3);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  check_error([&] { sfumato::io::MappedFile file(folder / "pipe"); }, "file-open", {"pipe", "not a regular file"});
  check_error([&] { sfumato::io::MappedFile file(folder.path()); }, "file-open", {folder.path().string()});
  check_error([&] { sfumato::io::MappedFile file(folder / "none"); }, "file-open", {"none", "No such file"});
}

TEST_CASE("a size limit in the middle of a save is an error and leaves the old file") {
  const TemporaryDirectory folder;
  const auto path = folder / "model.safetensors";
  save_version(path, 1);
  const std::string message = in_child([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    save_version(path, 2);
    return "no error";
  });
  INFO(message);
  CHECK(message.starts_with("[write-failed]"));
  CHECK(message.find(path.string()) != std::string::npos);
  CHECK(message.find("failed after 100000 bytes") != std::string::npos);
  CHECK(message.find("File too large") != std::string::npos);
  CHECK(holds_one_version(path));
  CHECK(folder.entries() == 1);
}

TEST_CASE("error numbers of a full disk") {
  CHECK(sfumato::io::detail::write_error_id(ENOSPC) == "disk-full");
  CHECK(sfumato::io::detail::write_error_id(EDQUOT) == "disk-full");
  CHECK(sfumato::io::detail::write_error_id(EIO) == "write-failed");
}

#if defined(__linux__)
TEST_CASE("a full disk is an error and leaves the old file") {
  const TemporaryDirectory folder;
  const std::string message = in_child([&]() -> std::string {
    const std::string user = std::to_string(::getuid()), group = std::to_string(::getgid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return "skipped";
    write_all("/proc/self/setgroups", "deny");
    write_all("/proc/self/uid_map", "0 " + user + " 1");
    write_all("/proc/self/gid_map", "0 " + group + " 1");
    if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=600k") != 0) return "skipped";
    const auto path = folder / "model.safetensors";
    save_version(path, 1);
    try {
      save_version(path, 2);
    } catch (const sfumato::Error& error) {
      const bool intact = holds_one_version(path) && folder.entries() == 1;
      return std::string(intact ? "intact " : "damaged ") + error.what();
    }
    return "no error";
  });
  if (message == "skipped") {
    MESSAGE("skipped: no small file system can be mounted here");
    return;
  }
  INFO(message);
  CHECK(message.starts_with("intact [disk-full]"));
  CHECK(message.find("model.safetensors") != std::string::npos);
  CHECK(message.find("No space left") != std::string::npos);
}
#endif

TEST_CASE("a kill while saving leaves one whole version") {
  const TemporaryDirectory folder;
  const auto path = folder / "model.safetensors";
  save_version(path, 1);
  const sfumato::Random random{.seed = 1, .stream = sfumato::Stream::user, .step = 0};
  for (std::uint64_t round = 0; round < 12; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int i = 0;; ++i) save_version(path, 1 + i % 2);
    }
    ::usleep(1000 + random.below(round, 20'000));
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(holds_one_version(path));
  }
  save_version(path, 2);
  CHECK(holds_one_version(path));
}

TEST_CASE("a leftover with our own temporary name does not matter") {
  const TemporaryDirectory folder;
  const auto path = folder / "a.txt";
  for (int n = 0; n < 1000; ++n)
    write_all(path.string() + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(n), "old");
  AtomicFile file(path);
  file.write("new");
  file.commit();
  CHECK(read_all(path) == "new");
}
