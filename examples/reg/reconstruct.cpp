// reg reconstruct: images, and what the autoencoder makes of them.
#include "../common/reconstructions.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

namespace example {
namespace {

using namespace sfumato;

struct Arguments : SystemArguments, ReconstructionArguments {
  Arguments() { batch = 50; }
};

template <class S> void reconstruct(const Arguments& a) {
  using VAE = typename S::VAE;
  require_writable_reconstructions(a);
  const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::test, S::classes, a.skip_corrupt);
  const ImageSource source(dataset);
  const auto bordered_source = bordered<S>(source);
  Reconstructions reconstructions(a, dataset, !S::official);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<VAE, B, E> vae(device);
    load_vae(a.vae, vae);
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, vae.values());
    reconstructions.each([&](Index first, Index n, std::span<float> real, std::span<float> made, std::span<int> labels) {
      const auto images = ops::input_from<typename VAE::ImageShape>(run, n, [&](E* out) {
        for (Index b = 0; b < n; ++b) labels[std::size_t(b)] = bordered_source.load(first + b, false, out + b * VAE::ImageShape::row);
      });
      ops::output(run, without_border<S>(run, images), real);
      ops::output(run, without_border<S>(run, vae.model().decode(run, vae.model().encode(run, images).mean)), made);
    });
  });
  reconstructions.finish("");
}

}  // namespace

void add_reconstruct(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("reconstruct", "decode the latents of images");
  add_model_option(*command, a->model);
  add_vae_option(*command, a->vae);
  add_data_options(*command, *a);
  add_reconstruction_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { reconstruct<S>(*a); }); });
}

}  // namespace example
