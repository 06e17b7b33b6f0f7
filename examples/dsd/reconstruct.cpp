// dsd reconstruct: images, and what the network makes of their latents.
#include "../common/reconstructions.hpp"
#include "commands.hpp"
#include "models.hpp"

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DataArguments, ReconstructionArguments {
  std::string model = "fashion", weights;
};

template <class S> void reconstruct(const Arguments& a) {
  using Image = typename S::Model::ImageShape;
  require_writable_reconstructions(a);
  const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::test, S::Model::classes, a.skip_corrupt);
  const ImageSource source(dataset);
  Reconstructions reconstructions(a, dataset, !S::official);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<typename S::Model, B, E> weights(device);
    load_weights(a.weights, weights);
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, weights.values());
    reconstructions.each([&](Index first, Index n, std::span<float> real, std::span<float> made, std::span<int> labels) {
      for (Index b = 0; b < n; ++b) labels[std::size_t(b)] = source.load(first + b, false, real.data() + b * Image::row);
      ops::output(run, weights.model().decode(run, weights.model().encode(run, ops::input<Image>(run, real))), made);
    });
  });
  reconstructions.finish("");
}

}  // namespace

void add_reconstruct(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("reconstruct", "decode the latents of images");
  add_model_option(*command, a->model);
  add_weights_option(*command, a->weights);
  add_data_options(*command, *a);
  add_reconstruction_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { reconstruct<S>(*a); }); });
}

}  // namespace example
