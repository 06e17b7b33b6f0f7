// rae train-decoder: from the frozen encoder's noised latents back to pixels.
#include "../common/fashion_classifier.hpp"
#include "../common/images.hpp"
#include "../common/training.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/train/decoder_objective.hpp>
#include <sfumato/train/feature_distance.hpp>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments {
  std::string model = "fashion", encoder, classifier = bundled_classifier, data;
  double tau = 0.8, perceptual_weight = 1;
  bool half_normal = false, skip_corrupt = false;
  // The published sizes want the paper's own: --batch 512 --learning-rate 2e-4 --ema1 0.9978 ...
  Arguments() {
    out = "out/decoder";
    train = {.batch = 64, .learning_rate = 1e-3, .minimum_rate = 1e-5, .schedule = Schedule::cosine, .warmup = 200, .clip = 1, .ema1 = 0.998, .ema2 = 0.99};
    optimiser = {.beta1 = 0.9, .beta2 = 0.95};
    loop = {.steps = 15'000, .checkpoint_every = 500};
  }
};

template <class S> void train(Arguments a) {
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    make_folder(a.out);
    plot::require_gnuplot();
    Weights<typename S::Encoder, B, E> encoder(device);
    Weights<FashionClassifier, B, E> classifier(device);
    load_model(a.encoder, encoder);
    load_weights(a.classifier, classifier);
    const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::train, S::classes, a.skip_corrupt);
    using Distance = FeatureDistance<FashionClassifier, B, E, 0, 1, 2, 3>;
    using Objective = DecoderObjective<typename S::Encoder, B, E, Distance>;
    const Objective objective{.encoder = &encoder, .distance = Distance{&classifier}, .tau = a.tau, .law = a.half_normal ? NoiseLaw::half_normal : NoiseLaw::uniform,
                              .perceptual_weight = a.perceptual_weight};
    const auto make = [&] { return std::make_unique<Trainer<typename S::Decoder, typename S::Decoder::ImageShape, Objective, B, E>>(device, objective, a.train, a.optimiser); };
    run_trainer(a, {"decoder", "RAE decoder: L1 + perceptual distance", cost_of<typename S::Decoder, typename S::LatentShape>(1).macs}, make, ImageSource(dataset));
  });
}

}  // namespace

void add_train_decoder(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train-decoder", "train the decoder on noised latents");
  command->add_option("--model", a->model, "fashion, or a published system, e.g. DINOv2-B/DiTDH-S")->capture_default_str();
  command->add_option("--encoder", a->encoder, "safetensors of the encoder")->required();
  command->add_option("--classifier", a->classifier, "whose features tell images apart")->capture_default_str();
  command->add_option("--data", a->data, "folder with IDX files, or with one subfolder of images per class");
  command->add_option("--tau", a->tau, "the most noise that is added to a latent; 0: none")->capture_default_str();
  command->add_flag("--half-normal", a->half_normal, "noise of |N(0, tau^2)| as in the paper's text, not of tau U(0, 1) as in its code");
  command->add_option("--perceptual", a->perceptual_weight, "weight of the perceptual distance")->capture_default_str();
  command->add_flag("--skip-corrupt", a->skip_corrupt, "leave damaged images of a folder out instead of stopping");
  add_training_options(*command, *a);
  command->callback([a, command] {
    with_system(a->model, [&]<class S>() {
      prepare_training(*command, *a);
      if constexpr (std::is_same_v<S, Fashion>) train<S>(*a);
      else throw Error("model", text("the decoder of '", a->model, "' is too large to be trained by this program"));
    });
  });
}

}  // namespace example
