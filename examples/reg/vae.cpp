// reg train-vae: the autoencoder whose latents are diffused. Of the published ones the weights are published too.
#include "../common/fashion_classifier.hpp"
#include "../common/images.hpp"
#include "../common/training.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/train/autoencoder_objective.hpp>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments {
  std::string data, perceptual = bundled_classifier;
  double perceptual_weight = 0.5, divergence_weight = 1e-4;
  // Found on Fashion-MNIST.
  Arguments() {
    out = "out/vae";
    train = {.batch = 32, .learning_rate = 2e-3, .minimum_rate = 1e-5, .schedule = Schedule::cosine, .warmup = 100, .clip = 1, .ema1 = 0.995, .ema2 = 0.98};
    optimiser = {.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0};
    loop = {.steps = 15'000, .checkpoint_every = 500};
  }
};

/// A distance of images without their border.
template <class Distance> struct Borderless {
  Distance distance;

  void validate() const { distance.validate(); }
  template <class Visit> void for_each_option(Visit&& visit) const { distance.for_each_option(visit); }
  template <class Ctx, class X, class Y> auto operator()(Ctx& ctx, const X& x, const Y& y) const { return distance(ctx, without_border<Fashion>(ctx, x), without_border<Fashion>(ctx, y)); }
};

void train(Arguments a) {
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    using VAE = Fashion::VAE;
    make_folder(a.out);
    plot::require_gnuplot();
    Weights<FashionClassifier, B, E> perceptual(device);
    load_weights(a.perceptual, perceptual);
    const auto dataset = load_images<Fashion::side, Fashion::channels>(a.data, io::Split::train, Fashion::classes, false);
    const ImageSource source(dataset);
    using Objective = AutoencoderObjective<Borderless<FeatureDistance<FashionClassifier, B, E, 0, 1, 2, 3>>>;
    Objective objective{.distance = {{&perceptual}}, .perceptual_weight = a.perceptual_weight, .divergence_weight = a.divergence_weight};
    const auto make = [&] { return std::make_unique<Trainer<VAE, VAE::ImageShape, Objective, B, E>>(device, objective, a.train, a.optimiser); };
    run_trainer(a, {.name = "vae", .plot = "Autoencoder: L1, perceptual distance and divergence", .macs = cost_of<VAE>(1).macs, .log_y = false}, make, bordered<Fashion>(source));
  });
}

}  // namespace

void add_train_vae(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train-vae", "train a small autoencoder on Fashion-MNIST");
  command->add_option("--data", a->data, "folder with Fashion-MNIST's four .gz files")->check(folder_named);
  command->add_option("--perceptual-weights", a->perceptual, "safetensors of the classifier whose features tell images apart, which should not be what scores the autoencoder's images")->capture_default_str();
  command->add_option("--perceptual", a->perceptual_weight, "weight of the perceptual distance")->capture_default_str();
  command->add_option("--divergence", a->divergence_weight, "weight of the divergence from N(0, 1)")->capture_default_str();
  add_training_options(*command, *a);
  command->callback([a, command] {
    prepare_training(*command, *a);
    train(*a);
  });
}

}  // namespace example
