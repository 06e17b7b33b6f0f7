// REG from the command line: reg train-vae | reconstruct | prepare | train | sample | info
#include "../common/program.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("REG: a diffusion Transformer on an autoencoder's latents, with a frozen encoder's class token in its sequence");
  app.require_subcommand(1);
  example::add_train_vae(app);
  example::add_reconstruct(app);
  example::add_prepare(app);
  example::add_train(app);
  example::add_sample(app);
  example::add_info(app);
  return example::run_program(app, argc, argv, [] {});  // subcommands run as they are parsed
}
