// rae info: what the models of a system cost and which rules they meet. Every figure is a compile-time constant.
#include "../common/program.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/design/budget.hpp>
#include <sfumato/design/published_cost.hpp>
#include <sfumato/design/theorem.hpp>

namespace example {
namespace {

using namespace sfumato;

void print_heading() {
  std::printf("%-10s %-10s %13s %13s %10s   %13s %10s\n", "", "model", "parameters", "with fixed", "GMACs", "as published:", "GMACs");
}
/// The last two: what RAE's paper and code count.
void print_row(const char* kind, const std::string& name, const Cost& cost, Index parameters, Index macs) {
  std::printf("%-10s %-10s %13lld %13lld %10.2f   %13lld %10.2f\n", kind, name.c_str(), static_cast<long long>(cost.parameters), static_cast<long long>(cost.parameters + cost.frozen),
              double(cost.macs) * 1e-9, static_cast<long long>(parameters), double(macs) * 1e-9);
}
/// DINOv2's published parameters have a mask token and the last norm's weight and bias, which are of no use here.
template <class Model> void print_encoder(const std::string& name) {
  constexpr Cost cost = cost_of<Model>(1);
  print_row("encoder", name, cost, cost.parameters + (Model::prefix == 5 ? 3 * Model::width : 0), linear_macs<Model>(cost.macs));
}
template <class Model> void print_diffusion(const std::string& name) {
  constexpr Cost cost = cost_of<Model>(1);
  print_row("diffusion", name, cost, cost.parameters + cost.frozen, sample_conditioned_macs<Model>(cost.macs));
}
template <class Model> void print_decoder(const std::string& name) {
  constexpr Cost cost = cost_of<Model, typename Model::LatentShape>(1);
  print_row("decoder", name, cost, cost.parameters, linear_macs<Model>(cost.macs));
}

/// What training a model takes, and the rules that a diffusion model meets.
template <class D> void print_diffusion_details() {
  if constexpr (D::decoupled) std::printf("the head alone, as published: %.2f GMACs\n", double(sample_conditioned_head_macs<D>()) * 1e-9);
  std::printf("bytes of a diffusion training step, f32 (weights, gradients, two moments, two averages; kept activations):\n");
  for (const Index batch : {Index{1}, Index{8}, Index{32}, Index{128}}) {
    constexpr TrainingMemory once = training_memory<D>(1);  // activations grow with the batch alone
    const double state = double(once.total() - once.activations), kept = double(once.activations) * double(batch);
    std::printf("  batch %4lld: %8.3f GiB = %.3f + %.3f\n", static_cast<long long>(batch), (state + kept) / 0x1p30, state / 0x1p30, kept / 0x1p30);
  }
  std::printf("rules:\n");
  constexpr bool holds = D::path_width >= D::token_dim;
  std::printf("  [output-path] %d >= %d: %s\n", D::path_width, D::token_dim, holds ? "holds" : "does not hold: velocity cannot be learnt");
  if (D::decoupled) std::printf("    by the trunk alone (%d) it would %s\n", D::width, D::width >= D::token_dim ? "too" : "not");
  if (D::width < D::token_dim) std::printf("one image's loss without a wide head: at least 1 - %d/%d = %.3f (theorem 1)\n", D::width, D::token_dim, 1 - double(D::width) / D::token_dim);
}

template <class S> void print_system(const std::string& name) {
  using D = typename S::Diffusion;
  std::printf("%s: images %d x %d x %d, latents of %d tokens x %d\n", name.c_str(), S::side, S::side, S::channels, S::Encoder::tokens, S::Encoder::token_dim);
  print_heading();
  print_encoder<typename S::Encoder>("");
  print_diffusion<D>("");
  print_decoder<typename S::Decoder>("");
  print_diffusion_details<D>();
  std::printf("  [shift-defined] %d values a latent: schedule shift %.4f\n", int(S::Shift::dimension), S::Shift::alpha);
  std::printf("  [same-latents] holds: encoder, diffusion model and decoder have %d tokens x %d\n", D::tokens, D::token_dim);
}

template <class D> constexpr Listed listed_diffusion(const char* name) { return {name, print_diffusion<D>, print_diffusion_details<D>}; }
template <class E> constexpr Listed listed_encoder(const char* name) { return {name, print_encoder<E>, nullptr}; }
template <class D> constexpr Listed listed_decoder(const char* name) { return {name, print_decoder<D>, nullptr}; }
constexpr Listed models[] = {listed_encoder<DINOv2_S<>>("DINOv2-S"), listed_encoder<DINOv2_B<>>("DINOv2-B"), listed_encoder<DINOv2_L<>>("DINOv2-L"), listed_encoder<SigLIP2_B>("SigLIP2-B"),
                             listed_encoder<MAE_B>("MAE-B"), listed_diffusion<DiT_S<>>("DiT-S"), listed_diffusion<DiT_B<>>("DiT-B"), listed_diffusion<DiT_L<>>("DiT-L"),
                             listed_diffusion<DiT_XL<>>("DiT-XL"), listed_diffusion<DiT_XXL<>>("DiT-XXL"), listed_diffusion<DiT_H<>>("DiT-H"), listed_diffusion<DiT_G<>>("DiT-G"),
                             listed_diffusion<DiT_T<>>("DiT-T"), listed_diffusion<DiTDH_S<>>("DiTDH-S"), listed_diffusion<DiTDH_B<>>("DiTDH-B"), listed_diffusion<DiTDH_L<>>("DiTDH-L"),
                             listed_diffusion<DiTDH_XL<>>("DiTDH-XL"), listed_diffusion<DiTDH_XXL<>>("DiTDH-XXL"), listed_diffusion<DiTDH_H<>>("DiTDH-H"), listed_diffusion<DiTDH_G<>>("DiTDH-G"),
                             listed_diffusion<DiTDH_T<>>("DiTDH-T"), listed_decoder<ViTDecoder_B<>>("ViT-B"), listed_decoder<ViTDecoder_L<>>("ViT-L"), listed_decoder<ViTDecoder_XL<>>("ViT-XL")};

}  // namespace

void add_info(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("info", "print parameters, multiply-adds, bytes and rules");
  command->add_option("--model", *name, "a model, e.g. DiTDH-XL, or a system, e.g. DINOv2-B/DiTDH-XL; all models in a table if left out");
  command->callback([name] {
    const bool found = print_listed(models, *name, print_heading) || if_named(for_each_system, *name, [&]<class S>() { print_system<S>(*name); });
    check(found, "model", "there is nothing called '", *name, "'; models are ", listed_names(models), "; systems are ", names_of(for_each_system));
  });
}

}  // namespace example
