// The frame of an example program: options by CLI11, and every failure as one line.
#pragma once

#include <sfumato/base/error.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

namespace example {

/// Parses the command line and runs `body`. Exit code 1, and one line on stderr, for whatever it throws.
template <class Body> int run_program(CLI::App& app, int argc, char** argv, Body&& body) {
  try {
    app.parse(argc, argv);
    body();
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error);  // also --help, with code 0
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: error: %s\n", std::filesystem::path(argv[0]).filename().c_str(), error.what());
    return 1;
  }
}

/// Creates the folder for results. Throws Error("output-folder").
inline void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  sfumato::check(!error, "output-folder", "cannot create '", folder.string(), "': ", error.message());
}

}  // namespace example
