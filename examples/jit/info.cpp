// jit info: what a model costs and which rules it meets. Every figure is a compile-time constant.
#include "../common/program.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/design/budget.hpp>
#include <sfumato/flow/objective.hpp>

namespace example {
namespace {

using namespace sfumato;

// The paper's tables, held to by the compiler (JiT, tables 5, 6 and 9: parameters and multiply-adds of one forward pass).
static_assert(parameter_count<JiT_B_16>() == 131'123'712 && cost_of<JiT_B_16>(1).macs / 10'000'000 == 2522);
static_assert(parameter_count<JiT_B_32>() == 133'190'400 && cost_of<JiT_B_32>(1).macs / 10'000'000 == 2575);
static_assert(parameter_count<JiT_B_64>() == 141'457'152 && cost_of<JiT_B_64>(1).macs / 10'000'000 == 2786);
static_assert(parameter_count<JiT_L_16>() == 458'877'664 && cost_of<JiT_L_16>(1).macs / 10'000'000 == 8794);
static_assert(parameter_count<JiT_L_32>() / 1'000'000 == 461 && cost_of<JiT_L_32>(1).macs / 10'000'000 == 8862);
static_assert(parameter_count<JiT_H_16>() == 952'514'368 && cost_of<JiT_H_16>(1).macs / 10'000'000 == 18194);
static_assert(parameter_count<JiT_H_32>() / 1'000'000 == 956 && cost_of<JiT_H_32>(1).macs / 10'000'000 == 18285);
static_assert(parameter_count<JiT_G_16>() / 1'000'000 == 2007 && cost_of<JiT_G_16>(1).macs / 10'000'000 == 38374);
static_assert(parameter_count<JiT_G_32>() / 1'000'000 == 2011 && cost_of<JiT_G_32>(1).macs / 10'000'000 == 38487);

template <class Model> void print_row(const char* name) {
  constexpr Cost cost = cost_of<Model>(1);
  std::printf("%-10s %13lld %13lld %10.2f\n", name, static_cast<long long>(cost.parameters), static_cast<long long>(cost.parameters + cost.frozen),
              double(cost.macs) * 1e-9);
}

template <Space Prediction, class Model> void print_path(const char* name) {
  constexpr bool fits = FlowObjective<Prediction>::template fits<Model>;
  std::printf("  [output-path] %s-prediction: %s\n", name,
              Prediction == Space::x ? "free" : text(fits ? "holds: " : "refused unless waived: ", Model::path_width, fits ? " >= " : " < ", Model::token_dim).c_str());
}

template <class Model> void print_model(const std::string& name) {
  constexpr Cost one = cost_of<Model>(1);
  std::printf("%s: images %d x %d x %d, %d tokens of %d values, width %d, narrowest path %d\n", name.c_str(), image_size<Model>, image_size<Model>,
              image_channels<Model>, Model::tokens, Model::token_dim, Model::width, Model::path_width);
  std::printf("parameters: %lld trainable, %lld with the fixed position table\n", static_cast<long long>(one.parameters), static_cast<long long>(one.parameters + one.frozen));
  std::printf("multiply-adds of a forward pass: %.3f G per image\n", double(one.macs) * 1e-9);
  std::printf("bytes of a training step, f32 (weights, gradients, two moments, two averages; kept activations):\n");
  for (const Index batch : {Index{1}, Index{8}, Index{32}, Index{128}}) {
    constexpr TrainingMemory once = training_memory<Model>(1);  // activations grow with the batch alone
    const double state = double(once.total() - once.activations), kept = double(once.activations) * double(batch);
    std::printf("  batch %4lld: %8.3f GiB = %.3f + %.3f\n", static_cast<long long>(batch), (state + kept) / 0x1p30, state / 0x1p30, kept / 0x1p30);
  }
  using Trunk = decltype(Model::trunk);
  const auto rule = [](const char* id, bool asked, const std::string& figures) { std::printf("  [%s] %s\n", id, asked ? ("holds: " + figures).c_str() : "is not asked: no such option"); };
  std::printf("rules:\n");  // those of the type hold, or it would not have compiled
  rule("patch-divides-image", true, text(image_size<Model>, " = ", image_size<Model> / Model::patch, " x ", Model::patch));
  rule("heads-divide-width", true, text(Trunk::width, " = ", Trunk::heads, " x ", Trunk::width / Trunk::heads));
  rule("rotary-head-dim", Trunk::rotary, text(Trunk::width / Trunk::heads, " = 4 x ", Trunk::width / Trunk::heads / 4));
  rule("context-start", Trunk::context_tokens > 0, text(Trunk::context_tokens, " tokens at block ", Trunk::context_start, " of ", Trunk::depth));
  rule("dropout-blocks", Trunk::Drop::rate > 0, text(Trunk::Drop::rate, " in blocks ", Trunk::Drop::first, " to ", Trunk::Drop::last - 1, " of ", Trunk::depth));
  rule("bottleneck-width", Model::bottleneck > 0, text(Model::bottleneck, " <= ", Model::token_dim, " and ", Model::width));
  print_path<Space::x, Model>("x");
  print_path<Space::eps, Model>("eps");
  print_path<Space::v, Model>("v");
}

}  // namespace

void add_info(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("info", "print parameters, multiply-adds, bytes and rules");
  command->add_option("--model", *name, "one model; all in a table if left out");
  command->callback([name] {
    if (!name->empty()) return with_model(*name, [&]<class Model>() { print_model<Model>(*name); });
    std::printf("%-10s %13s %13s %10s\n", "model", "parameters", "with fixed", "GMACs");
    for_each_model([]<class Model>(const char* each) { print_row<Model>(each); });
  });
}

}  // namespace example
