// The program's parts: each adds its options to `app` and runs when its name is given.
#pragma once

#include <CLI/CLI.hpp>

namespace example {
void add_train(CLI::App& app);
void add_sample(CLI::App& app);
void add_reconstruct(CLI::App& app);
void add_encode(CLI::App& app);
void add_info(CLI::App& app);
}  // namespace example
