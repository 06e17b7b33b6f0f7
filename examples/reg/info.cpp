// reg info: what the models cost and which rules they meet. Every figure is a compile-time constant.
#include "../common/program.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/design/budget.hpp>

namespace example {
namespace {

using namespace sfumato;

void print_heading() { std::printf("%-14s %13s %13s %10s %13s %10s\n", "model", "parameters", "inference", "GMACs", "projector", "GMACs"); }
void print_row(const std::string& name, Index parameters, Index inference, Index macs, Index projector, Index projector_macs) {
  std::printf("%-14s %13lld %13lld %10.3f %13lld %10.2f\n", name.c_str(), static_cast<long long>(parameters), static_cast<long long>(inference), double(macs) * 1e-9, static_cast<long long>(projector),
              double(projector_macs) * 1e-9);
}
/// With the frozen position table, as the published figures; the projector is of training alone.
template <class M> constexpr Index projector_macs() {
  if constexpr (!M::aligned) return 0;
  else return cost_of<decltype(M::projectors), Shape<dynamic, M::tokens, M::width>>(1).macs;
}
template <class M> void print_diffusion(const std::string& name) {
  constexpr Index all = parameter_count<M>(true), projector = parameter_count<decltype(M::projectors)>();
  constexpr Cost cost = cost_of<M>(1);
  print_row(name, all, all - projector, cost.macs, projector, projector_macs<M>());
}
template <class M> void print_diffusion_details() {
  std::printf("samples of %d latents%s: %d tokens, class token of %d values\n", int(M::LatentShape::row), M::entangled ? " and a class token" : "", M::tokens, M::class_dim);
  if constexpr (M::entangled) {
    constexpr Index of_class = parameter_count<decltype(M::cls_projectors2)>() + parameter_count<decltype(M::wg_norm)>() + parameter_count<decltype(decltype(M::final_layer)::linear_cls)>();
    std::printf("the class token's own parameters: %lld\n", static_cast<long long>(of_class));
  }
  std::printf("bytes of a training step, f32 (weights, gradients, two moments, two averages; kept activations, the projector's left out):\n");
  for (const Index batch : {Index{1}, Index{8}, Index{32}, Index{256}}) {
    constexpr TrainingMemory once = training_memory<M>(1);  // activations grow with the batch alone
    const double state = double(once.total() - once.activations), kept = double(once.activations) * double(batch);
    std::printf("  batch %4lld: %8.3f GiB = %.3f + %.3f\n", static_cast<long long>(batch), (state + kept) / 0x1p30, state / 0x1p30, kept / 0x1p30);
  }
  std::printf("rules:\n  [output-path] %d >= %d: %s\n", M::path_width, M::token_dim, M::path_width >= M::token_dim ? "holds" : "does not hold: waived");
  if constexpr (M::aligned) std::printf("  [alignment-block] %d of %d: holds\n", M::Aligned::block, decltype(M::trunk)::depth);
  if constexpr (M::aligned && M::entangled) std::printf("  [teacher-width] %d == %d: holds\n", M::class_dim, M::Aligned::dim);
}
template <class Half> void print_half(const std::string& name) {
  constexpr Cost cost = cost_of<Half>(1);
  print_row(name, cost.parameters, cost.parameters, cost.macs, 0, 0);
}
template <class Encoder> void print_teacher(const std::string& name) {
  constexpr Cost cost = cost_of<Encoder>(1);
  print_row(name, cost.parameters, cost.parameters, cost.macs, 0, 0);
}

template <class M> constexpr Listed listed(const char* name) { return {name, print_diffusion<M>, print_diffusion_details<M>}; }
template <int Width, int Depth, int Heads, int Block> using Aligned = REPA<ImageNetLatents<>, SiTTrunk<Width, Depth, Heads>, Block, 768>;
using VAE = StableDiffusionVAE<>;
constexpr Listed models[] = {listed<SiT_S_2<>>("SiT-S/2"), listed<SiT_B_2<>>("SiT-B/2"), listed<SiT_L_2<>>("SiT-L/2"), listed<SiT_XL_2<>>("SiT-XL/2"), listed<Aligned<768, 12, 12, 4>>("SiT-B/2+REPA"),
                             listed<Aligned<1024, 24, 16, 8>>("SiT-L/2+REPA"), listed<Aligned<1152, 28, 16, 8>>("SiT-XL/2+REPA"), listed<REG_S_2<>>("SiT-S/2+REG"), listed<REG_B_2<>>("SiT-B/2+REG"),
                             listed<REG_L_2<>>("SiT-L/2+REG"), listed<REG_XL_2<>>("SiT-XL/2+REG"), listed<Fashion::Model>("fashion"), {"VAE encoder", print_half<VAE::Encode>, nullptr},
                             {"VAE decoder", print_half<VAE::Decode>, nullptr}, {"DINOv2-B/14", print_teacher<DINOv2Teacher_B<>>, nullptr}};

}  // namespace

void add_info(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("info", "print parameters, multiply-adds, bytes and rules");
  command->add_option("--model", *name, "a model, e.g. SiT-XL/2+REG; all in a table if left out");
  command->callback([name] {
    const bool found = print_listed(models, *name, print_heading);
    check(found, "model", "there is nothing called '", *name, "'; models are ", listed_names(models));
  });
}

}  // namespace example
