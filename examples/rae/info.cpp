// rae info: what the models of a system cost and which rules they meet. Every figure is a compile-time constant.
#include "../common/program.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/design/budget.hpp>
#include <sfumato/design/theorem.hpp>

namespace example {
namespace {

using namespace sfumato;

template <class Model, class... Input> void print_row(const char* kind, const std::string& name) {
  constexpr Cost cost = cost_of<Model, Input...>(1);
  std::printf("%-10s %-22s %13lld %13lld %10.2f\n", kind, name.c_str(), static_cast<long long>(cost.parameters), static_cast<long long>(cost.parameters + cost.frozen), double(cost.macs) * 1e-9);
}
template <class Model> void print_diffusion(const std::string& name) { print_row<Model>("diffusion", name); }
template <class Model> void print_decoder(const std::string& name) { print_row<Model, typename Model::LatentShape>("decoder", name); }

void print_all() {
  std::printf("%-10s %-22s %13s %13s %10s\n", "", "model", "parameters", "with fixed", "GMACs");
  print_row<DINOv2_S<>>("encoder", "DINOv2-S");
  print_row<DINOv2_B<>>("encoder", "DINOv2-B");
  print_row<DINOv2_L<>>("encoder", "DINOv2-L");
  print_row<SigLIP2_B>("encoder", "SigLIP2-B");
  print_row<MAE_B>("encoder", "MAE-B");
  print_diffusion<DiT_S<>>("DiT-S");
  print_diffusion<DiT_B<>>("DiT-B");
  print_diffusion<DiT_L<>>("DiT-L");
  print_diffusion<DiT_XL<>>("DiT-XL");
  print_diffusion<DiTDH_S<>>("DiTDH-S");
  print_diffusion<DiTDH_B<>>("DiTDH-B");
  print_diffusion<DiTDH_L<>>("DiTDH-L");
  print_diffusion<DiTDH_XL<>>("DiTDH-XL");
  print_decoder<ViTDecoder_B<>>("ViT-B");
  print_decoder<ViTDecoder_L<>>("ViT-L");
  print_decoder<ViTDecoder_XL<>>("ViT-XL");
}

template <class S> void print_system(const std::string& name) {
  using D = typename S::Diffusion;
  std::printf("%s: images %d x %d x %d, latents of %d tokens x %d\n", name.c_str(), S::side, S::side, S::channels, S::Encoder::tokens, S::Encoder::token_dim);
  std::printf("%-10s %-22s %13s %13s %10s\n", "", "", "parameters", "with fixed", "GMACs");
  print_row<typename S::Encoder>("encoder", "");
  print_diffusion<D>("");
  print_decoder<typename S::Decoder>("");
  std::printf("bytes of a diffusion training step, f32 (weights, gradients, two moments, two averages; kept activations):\n");
  for (const Index batch : {Index{1}, Index{8}, Index{32}, Index{128}}) {
    constexpr TrainingMemory once = training_memory<D>(1);  // activations grow with the batch alone
    const double state = double(once.total() - once.activations), kept = double(once.activations) * double(batch);
    std::printf("  batch %4lld: %8.3f GiB = %.3f + %.3f\n", static_cast<long long>(batch), (state + kept) / 0x1p30, state / 0x1p30, kept / 0x1p30);
  }
  std::printf("rules:\n");
  std::printf("  [output-path] %d >= %d: holds; by the trunk alone (%d) it would %s\n", D::path_width, D::token_dim, D::width, D::width >= D::token_dim ? "too" : "not");
  std::printf("  [shift-defined] %d values a latent: schedule shift %.4f\n", int(S::Shift::dimension), S::Shift::alpha);
  std::printf("  [same-latents] holds: encoder, diffusion model and decoder have %d tokens x %d\n", D::tokens, D::token_dim);
  if (D::width < D::token_dim) std::printf("one image's loss without the head: at least 1 - %d/%d = %.3f (theorem 1)\n", D::width, D::token_dim, 1 - double(D::width) / D::token_dim);
}

}  // namespace

void add_info(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("info", "print parameters, multiply-adds, bytes and rules");
  command->add_option("--model", *name, "one system; all models in a table if left out");
  command->callback([name] {
    if (name->empty()) return print_all();
    with_system(*name, [&]<class S>() { print_system<S>(*name); });
  });
}

}  // namespace example
