// Trains a small vision encoder on Fashion-MNIST without labels, as a masked autoencoder, and says what a linear classifier finds in it:
// beside raw pixels and an encoder that was never trained.
//   pretrain_encoder --minutes 5 --out out/encoder
#include "../common/fashion.hpp"
#include "../common/fashion_encoder.hpp"
#include "../common/probe.hpp"
#include "../common/training.hpp"

#include <sfumato/train/masked_reconstruction.hpp>

namespace {

using namespace sfumato;
using namespace example;
using Model = MaskedAutoencoder<FashionEncoder, Transformer<96, 2, LayerNorm, GELU, Heads<3>>, 6>;

struct Arguments : TrainingArguments {
  std::string data;
  bool pixels_as_they_are = false;
  Arguments() {
    out = "out/encoder";
    minutes = 5;
    train = {.batch = 128, .learning_rate = 2e-3, .schedule = Schedule::cosine, .warmup = 200, .clip = 1, .ema1 = 0.998, .ema2 = 0.99, .flip = true};
    optimiser = {.weight_decay = 0.05};
    loop = {.steps = 20000, .checkpoint_every = 500};
  }
};

template <class Ctx> double probe_encoder(Ctx run, const FashionEncoder& encoder, const ImageSource& train, const ImageSource& test) {
  const auto look = [&](const auto& images) { return ops::mean<axis::tokens>(run, encoder(run, encoder.normalise<Range::signed_unit>(run, images))); };
  return linear_probe<FashionEncoder::width, 10>(run.device(), features_of<FashionEncoder::width, FashionEncoder::ImageShape>(run, train, look), features_of<FashionEncoder::width, FashionEncoder::ImageShape>(run, test, look));
}

void pretrain(Arguments a) {
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    make_folder(a.out);
    plot::require_gnuplot();
    const std::string folder = fashion_or_bundled(a.data);
    const auto train_images = io::load_fashion_mnist(folder, io::Split::train), test_images = io::load_fashion_mnist(folder, io::Split::test);
    const ImageSource train(train_images), test(test_images);
    for (const auto* source : {&train, &test}) source->template require_shape<FashionEncoder::ImageShape>();

    const MaskedReconstruction objective{!a.pixels_as_they_are};
    const auto make = [&] { return std::make_unique<Trainer<Model, Model::ImageShape, MaskedReconstruction, B, E>>(device, objective, a.train, a.optimiser); };
    const auto trainer = run_trainer(a, {"encoder", "Masked autoencoder: error of hidden patches", cost_of<Model>(1).macs}, make, train);

    const std::filesystem::path file = std::filesystem::path(a.out) / "encoder.safetensors";
    save_buffers<B, float>(file, parameter_table(trainer->model().encoder), {{"", &trainer->ema1()}}, {});
    Workspace<B> workspace(device);
    Run<B> run(workspace, nullptr);
    const auto pixels = [&](const auto& images) { return ops::reshape<Shape<dynamic, 784>>(run, images); };
    const double of_pixels = linear_probe<784, 10>(device, features_of<784, FashionEncoder::ImageShape>(run, train, pixels), features_of<784, FashionEncoder::ImageShape>(run, test, pixels));
    const Weights<FashionEncoder, B> untrained(device, a.train.seed);
    const double of_untrained = probe_encoder(Run<B>(workspace, untrained.values()), untrained.model(), train, test);
    const double of_encoder = probe_encoder(Run<B>(workspace, trainer->ema1()), trainer->model().encoder, train, test);
    const std::string report = text("linear probe on ", test.size(), " test images, share named right:\n  raw pixels (784):        ", of_pixels, "\n  untrained encoder (", FashionEncoder::width,
                                    "): ", of_untrained, "\n  this encoder (", FashionEncoder::width, "):      ", of_encoder, "\n");
    write_text(std::filesystem::path(a.out) / "probe.txt", report);
    std::printf("%swrote %s\n", report.c_str(), file.c_str());
  });
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("Trains a vision encoder on Fashion-MNIST as a masked autoencoder, and probes it");
  add_training_options(app, a);
  app.add_option("--data", a.data, "folder with Fashion-MNIST's four .gz files")->check(folder_named);
  app.add_flag("--plain-pixels", a.pixels_as_they_are, "the error is of pixels as they are, not of patches each normalised");
  return run_program(app, argc, argv, [&] {
    prepare_training(app, a);
    pretrain(a);
  });
}
