// DSD from the command line: dsd train | sample | reconstruct | encode | info
#include "../common/program.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("DSD: one Transformer that encodes, denoises and decodes, trained end to end");
  app.require_subcommand(1);
  example::add_train(app);
  example::add_sample(app);
  example::add_reconstruct(app);
  example::add_encode(app);
  example::add_info(app);
  return example::run_program(app, argc, argv, [] {});  // subcommands run as they are parsed
}
