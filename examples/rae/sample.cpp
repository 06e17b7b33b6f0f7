// rae sample: images from noise.
#include "../common/samples.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/train/latent_statistics.hpp>

#include <type_traits>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : SampleArguments {
  std::string model = "fashion", weights, statistics, decoder, guide;
  Arguments() { sampler.steps = 49; }
};

template <class S> void draw(const Arguments& a) {
  check(a.guide.empty() || a.sampler.guidance != 1, "sampler-options", "--guide needs a --guidance other than 1, which asks no guide");
  DrawnImages drawn(a, S::side, S::channels, S::classes, !S::official);
  const KnownEncoder encoder = encoder_of(a.weights);
  for (const auto& other : {a.decoder, a.statistics}) require_one_encoder(encoder, encoder_of(other));
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<typename S::Diffusion, B, E> diffusion(device);
    Weights<typename S::Scale, B, E> scale(device, 0);
    Weights<typename S::Decoder, B, E> decoder(device);
    load_model(a.weights, diffusion);
    load_model(a.decoder, decoder);
    read_statistics(a.statistics, scale);
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, diffusion.values()), scaled = run.frozen(scale.values()), painted = run.frozen(decoder.values());
    const auto draw_by = [&](const auto& guide) {
      drawn.draw([&](std::span<const int> labels, Index first, const auto& show, std::vector<float>& images) {
        const auto z = sample<typename S::LatentShape, Euler, typename S::Grid>(run, diffusion.model(), typename S::Objective{}, labels, a.seed, first, a.sampler, show, guide);
        const auto x = decoder.model().template decode<Range::signed_unit>(painted, scale.model().denormalise(scaled, z));
        images.resize(std::size_t(x.size()));
        ops::output(painted, x, std::span(images));
      });
    };
    if (a.guide.empty()) {
      draw_by(ClassifierFree{});
    } else {
      using Weak = std::conditional_t<S::official, DiTDH_S<S::Encoder::token_dim, S::Encoder::grid>, FashionGuide>;
      Weights<Weak, B, E> weak(device);
      load_model(a.guide, weak);
      draw_by(AutoGuidance{weak.model(), weak.values()});
    }
  });
  drawn.finish(text("guidance ", decimals(a.sampler.guidance), a.guide.empty() ? "" : " away from a weaker model"));
}

}  // namespace

void add_sample(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("sample", "draw images from noise");
  add_model_option(*command, a->model);
  command->add_option("--weights", a->weights, "safetensors of the diffusion model")->required();
  command->add_option("--statistics", a->statistics, "safetensors of the latents' statistics")->required();
  command->add_option("--decoder", a->decoder, "safetensors of the decoder")->required();
  command->add_option("--steps", a->sampler.steps, "Euler steps on the shifted grid")->capture_default_str();
  command->add_option("--guide", a->guide, "weights of a weaker model (train --guide): AutoGuidance instead of the null class");
  add_sample_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { draw<S>(*a); }); });
}

}  // namespace example
