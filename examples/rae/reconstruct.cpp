// rae reconstruct: images, and what the decoder makes of their latents.
#include "../common/reconstructions.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/train/latent_objective.hpp>

#include <cmath>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : SystemArguments, ReconstructionArguments {
  std::string decoder;
  double sigma = 0;
  std::uint64_t seed = 0;
};

template <class S> void reconstruct(const Arguments& a) {
  using Image = typename S::Decoder::ImageShape;
  check(std::isfinite(a.sigma) && a.sigma >= 0, "options", "--sigma must be finite and not negative, found ", a.sigma);
  require_writable_reconstructions(a);
  const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::test, S::classes, a.skip_corrupt);
  const ImageSource source(dataset);
  Reconstructions reconstructions(a, dataset, !S::official);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<typename S::Encoder, B, E> encoder(device);
    Weights<typename S::Decoder, B, E> decoder(device);
    load_model(a.encoder, encoder);
    load_model(a.decoder, decoder);
    require_one_encoder(encoder_of(encoder), encoder_of(a.decoder));
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, encoder.values()), painted = run.frozen(decoder.values());
    reconstructions.each([&](Index first, Index n, std::span<float> real, std::span<float> made, std::span<int> labels) {
      for (Index b = 0; b < n; ++b) labels[std::size_t(b)] = source.load(first + b, false, real.data() + b * Image::row);
      auto z = frozen_latents(run, encoder, ops::input<Image>(run, real));
      if (a.sigma > 0) z = ops::combine(run, 1, z, a.sigma, ops::normal<typename S::LatentShape>(run, n, Random{a.seed, Stream::noise, 0}, first));
      ops::output(run, decoder.model().template decode<Range::signed_unit>(painted, z), made);
    });
  });
  reconstructions.finish(text(", noise ", a.sigma, " on their latents"));
}

}  // namespace

void add_reconstruct(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("reconstruct", "decode the latents of images");
  add_system_options(*command, *a);
  command->add_option("--decoder", a->decoder, "safetensors of the decoder")->required();
  command->add_option("--sigma", a->sigma, "noise on the latents")->capture_default_str();
  command->add_option("--seed", a->seed)->capture_default_str();
  add_reconstruction_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { reconstruct<S>(*a); }); });
}

}  // namespace example
