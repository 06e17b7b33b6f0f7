// JiT from the command line: jit train | sample | evaluate | info
#include "../common/program.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("JiT: a plain Transformer that draws images from raw pixels by predicting the clean image");
  app.require_subcommand(1);
  example::add_train(app);
  example::add_sample(app);
  example::add_evaluate(app);
  example::add_info(app);
  return example::run_program(app, argc, argv, [] {});  // subcommands run as they are parsed
}
