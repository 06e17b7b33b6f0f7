// The frame of an example program: options by CLI11, and every failure as one line.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/atomic_file.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace example {

/// Parses the command line and runs `body`. Exit code 1, and one line on stderr, for whatever it throws.
template <class Body> int run_program(CLI::App& app, int argc, char** argv, Body&& body) {
  const auto fail = [&](const char* id, const char* what) {
    std::fprintf(stderr, "%s: error: %s%s\n", std::filesystem::path(argv[0]).filename().c_str(), id, what);
    return 1;
  };
  try {
    app.parse(argc, argv);
    body();
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error);  // also --help, with code 0
  } catch (const std::bad_alloc& error) {
    return fail("[out-of-memory] an allocation failed: ", error.what());
  } catch (const std::length_error& error) {  // a container was asked for more than it can ever hold
    return fail("[out-of-memory] an allocation is too large: ", error.what());
  } catch (const std::exception& error) {
    return fail("", error.what());
  }
}

/// Creates the folder for results. Throws Error("output-folder").
inline void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  sfumato::check(!error, "output-folder", "cannot create '", folder.string(), "': ", error.message());
}

/// Throws Error("write-failed") or Error("disk-full") unless a file can be created at `path`, which stays as it is.
/// Asked before long work, because its result would otherwise be lost at the end of it.
inline void require_writable(const std::filesystem::path& path) {
  sfumato::check(path.has_filename(), "write-failed", "cannot write '", path.string(), "': it names no file");
  sfumato::io::AtomicFile{path};  // dies uncommitted
}

/// Writes a small file, whole or not at all. Throws as `require_writable`.
inline void write_text(const std::filesystem::path& path, std::string_view contents) {
  sfumato::io::AtomicFile file(path);
  file.write(contents);
  file.commit();
}

}  // namespace example
