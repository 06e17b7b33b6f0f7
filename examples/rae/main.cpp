// RAE from the command line: rae encode-stats | train-decoder | train | sample | reconstruct | info
#include "../common/program.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("RAE: diffusion in the token space of a frozen vision encoder, and a decoder that forgives what it gets wrong");
  app.require_subcommand(1);
  example::add_encode_stats(app);
  example::add_train_decoder(app);
  example::add_train(app);
  example::add_sample(app);
  example::add_reconstruct(app);
  example::add_info(app);
  return example::run_program(app, argc, argv, [] {});  // subcommands run as they are parsed
}
