// What the commands have in common.
#pragma once

#include "../common/fashion.hpp"

#include <CLI/CLI.hpp>

#include <string>

namespace example {

struct SystemArguments {
  std::string model = "fashion", vae, data;
  bool skip_corrupt = false;
};

inline void add_model_option(CLI::App& command, std::string& model) {
  command.add_option("--model", model, "fashion, or a published system, e.g. SiT-XL/2+REG; an unknown one is answered with all of them")->capture_default_str();
}
inline void add_vae_option(CLI::App& command, std::string& vae) {
  command.add_option("--vae", vae, "safetensors of the autoencoder: of train-vae, or official (sd-vae-ft-mse, sd-vae-ft-ema)")->required();
}
inline void add_data_options(CLI::App& command, SystemArguments& a) {
  command.add_option("--data", a.data, "folder with IDX files, or with one subfolder of images per class; Fashion-MNIST if left out")->check(folder_named);
  command.add_flag("--skip-corrupt", a.skip_corrupt, "leave damaged images of a folder out instead of stopping");
}

}  // namespace example
