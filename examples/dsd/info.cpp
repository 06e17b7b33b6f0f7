// dsd info: what the models cost and which rules they meet. Every figure is a compile-time constant.
#include "../common/program.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/design/budget.hpp>
#include <sfumato/train/dsd_objective.hpp>

namespace example {
namespace {

using namespace sfumato;

void print_heading() { std::printf("%-10s %13s %13s   GMACs: %9s %9s %9s\n", "model", "parameters", "the trunk's", "encode", "decode", "denoise"); }
template <class Model> void print_model(const std::string& name) {
  std::printf("%-10s %13lld %13lld          %9.3f %9.3f %9.3f\n", name.c_str(), static_cast<long long>(parameter_count<Model>()), static_cast<long long>(parameter_count<decltype(Model::trunk)>()),
              double(cost_of<typename Model::Encode>(1).macs) * 1e-9, double(cost_of<typename Model::Decode>(1).macs) * 1e-9, double(cost_of<typename Model::Denoise>(1).macs) * 1e-9);
}
template <class Model> void print_details() {
  std::printf("latents of %d tokens x %d: %lld values for an image's %lld\n", Model::tokens, Model::latent_dim, static_cast<long long>(Model::LatentShape::row), static_cast<long long>(Model::ImageShape::row));
  std::printf("rules of self-distillation, each of which a design may waive by name:\n");
  const auto rule = [](const char* name, bool met) { std::printf("  [%s] %s\n", name, met ? "met" : "waived"); };
  using Design = SelfDistillation<>;
  rule("latent-variance", Design::target != Target::flowing);
  rule("rank-differentiation", Design::prediction == Space::x);
  rule("detached-velocity", Design::detached);
  std::printf("  [output-path] %d >= %d: %s\n", Model::path_width, Model::token_dim, Model::path_width >= Model::token_dim ? "met" : "not met: velocity cannot be learnt");
}

template <class Model> constexpr Listed listed(const char* name) { return {name, print_model<Model>, print_details<Model>}; }
/// Without what training alone needs, the projectors; and the small one of the examples with them.
constexpr Listed models[] = {listed<DSD_42M<>>("DSD-42M"), listed<DSD_118M<>>("DSD-118M"), listed<DSD_B<>>("DSD-B"), listed<FashionDSD>("fashion")};

}  // namespace

void add_info(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("info", "print parameters, multiply-adds and rules");
  command->add_option("--model", *name, "fashion, DSD-42M, DSD-118M or DSD-B; all in a table if left out");
  command->callback([name] { check(print_listed(models, *name, print_heading), "model", "there is no model called '", *name, "'; known are ", listed_names(models)); });
}

}  // namespace example
