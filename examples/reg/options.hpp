// What the commands have in common.
#pragma once

#include "../common/images.hpp"

#include <CLI/CLI.hpp>

#include <string>

namespace example {

struct SystemArguments : DataArguments {
  std::string model = "fashion", vae;
};

inline void add_model_option(CLI::App& command, std::string& model) {
  command.add_option("--model", model, "fashion, or a published system, e.g. SiT-XL/2+REG; an unknown one is answered with all of them")->capture_default_str();
}
inline void add_vae_option(CLI::App& command, std::string& vae) {
  command.add_option("--vae", vae, "safetensors of the autoencoder: of train-vae, or official (sd-vae-ft-mse, sd-vae-ft-ema)")->required();
}

}  // namespace example
