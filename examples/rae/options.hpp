// What the commands that look at images have in common.
#pragma once

#include "../common/images.hpp"

#include <CLI/CLI.hpp>

#include <string>

namespace example {

struct SystemArguments : DataArguments {
  std::string model = "fashion", encoder;
};

inline void add_model_option(CLI::App& command, std::string& model) {
  command.add_option("--model", model, "fashion, or a published system, e.g. DINOv2-B/DiTDH-S; an unknown one is answered with all of them")->capture_default_str();
}
inline void add_system_options(CLI::App& command, SystemArguments& a) {
  add_model_option(command, a.model);
  command.add_option("--encoder", a.encoder, "safetensors of the encoder: of pretrain_encoder, or official")->required();
  add_data_options(command, a);
}

}  // namespace example
