// reg sample: images from noise.
#include "../common/samples.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <cmath>
#include <optional>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : SampleArguments {
  std::string model = "fashion", weights, vae, solver = "sde";
  double class_guidance = 0;
  std::optional<double> latent_scale;
};

template <class S> void draw(const Arguments& a) {
  using Model = typename S::Model;
  check(a.solver == "sde" || a.solver == "euler" || a.solver == "heun", "sampler-options", "--solver is sde, euler or heun, found '", a.solver, "'");
  check(std::isfinite(a.class_guidance), "sampler-options", "--class-guidance must be finite, found ", a.class_guidance);
  check(Model::entangled || a.class_guidance == 0, "sampler-options", "--class-guidance is of a model with a class token, '", a.model, "' has none");
  DrawnImages drawn(a, S::side, S::channels, S::classes, !S::official);
  const auto metadata = io::SafetensorsFile(a.weights).metadata();
  double scale = a.latent_scale.value_or(typename S::Objective{}.latent_scale);
  if (const auto kept = metadata.find("objective.latent_scale"); !a.latent_scale && kept != metadata.end()) scale = number_of(kept->second, a.weights);
  else check(a.latent_scale || S::official, "options", a.weights, " does not say its latents' scale: give --latent-scale");
  check(std::isfinite(scale) && scale > 0, "sampler-options", "the latents' scale must be finite and positive, found ", scale);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<Model, B, E> diffusion(device);
    Weights<typename S::VAE, B, E> vae(device);
    load_weights(a.weights, diffusion);
    load_vae(a.vae, vae);
    require_latents(metadata, a.weights, vae, "--vae");
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, diffusion.values()), painted = run.frozen(vae.values());
    const auto guide = [&] {
      if constexpr (Model::entangled) return ClassTokenGuidance<Model>{{}, a.class_guidance};
      else return ClassifierFree{};
    }();
    drawn.draw([&](std::span<const int> labels, Index first, const auto& show, std::vector<float>& images) {
      const auto by = [&]<class Method, class Grid>() {
        return sample<typename Model::ImageShape, Method, Grid>(run, diffusion.model(), typename S::Objective{}, labels, a.seed, first, a.sampler, show, guide);
      };
      const auto z = a.solver == "sde" ? by.template operator()<EulerMaruyama<>, LastStepGrid<>>() : a.solver == "heun" ? by.template operator()<Heun, UniformGrid>() : by.template operator()<Euler, UniformGrid>();
      const auto x = without_border<S>(painted, vae.model().decode(painted, ops::scale(painted, 1 / scale, latent_part<Model>(painted, z))));
      images.resize(std::size_t(x.size()));
      ops::output(painted, x, std::span(images));
    });
  });
  drawn.finish(text(a.solver, " of ", a.sampler.steps, " steps, guidance ", decimals(a.sampler.guidance)));
}

}  // namespace

void add_sample(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("sample", "draw images from noise");
  add_model_option(*command, a->model);
  command->add_option("--weights", a->weights, "safetensors of the diffusion model")->required();
  add_vae_option(*command, a->vae);
  command->add_option("--latent-scale", a->latent_scale, "of diffusion's latents; as the weights' file says, or 0.18215, if left out");
  command->add_option("--solver", a->solver, "sde (Euler-Maruyama, as published), euler or heun")->capture_default_str();
  command->add_option("--steps", a->sampler.steps, "250 in the paper")->capture_default_str();
  command->add_option("--class-guidance", a->class_guidance, "scale for the class token; 0: it is not guided")->capture_default_str();
  add_sample_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { draw<S>(*a); }); });
}

}  // namespace example
