// rae train-decoder: from the frozen encoder's noised latents back to pixels.
#include "../common/adversary.hpp"
#include "../common/fashion_classifier.hpp"
#include "../common/images.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/train/feature_distance.hpp>

#include <cmath>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments, SystemArguments, AdversarialArguments {
  std::string perceptual;
  double tau = 0.8, perceptual_weight = 1;
  bool half_normal = false;
  // Found on Fashion-MNIST; the published sizes want the paper's own: docs/rae.md.
  Arguments() {
    out = "out/decoder";
    train = {.batch = 64, .learning_rate = 1e-3, .minimum_rate = 1e-5, .schedule = Schedule::cosine, .warmup = 200, .clip = 1, .ema1 = 0.995, .ema2 = 0.98};
    optimiser = {.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0};
    loop = {.steps = 15'000, .checkpoint_every = 500};
  }
};

/// The frozen networks in the loss of a system's decoder, and where their weights come from.
template <class S> struct LossNetworks {  // LPIPS and RAE's discriminator
  using Perceptual = LPIPS<>;
  using Discriminator = RAEDiscriminator;
  template <class B, class E> using Distance = PerceptualDistance<Perceptual, B, E>;
  static std::string perceptual(const Arguments& a) {
    check(!a.perceptual.empty(), "options", "--perceptual-weights is needed: LPIPS's on VGG16");
    return a.perceptual;
  }
  static std::string network(const Arguments& a) {
    check(!a.network.empty(), "options", "--network is needed for the adversary: DINO's ViT-S/8");
    return a.network;
  }
};
template <> struct LossNetworks<Fashion> {  // the classifier, and the encoder itself
  using Perceptual = FashionClassifier;
  using Discriminator = sfumato::Discriminator<FashionEncoder, 5, 2, 5>;
  template <class B, class E> using Distance = FeatureDistance<Perceptual, B, E, 0, 1, 2, 3>;
  static std::string perceptual(const Arguments& a) { return a.perceptual.empty() ? bundled_classifier : a.perceptual; }
  static std::string network(const Arguments& a) { return a.network.empty() ? a.encoder : a.network; }
};

template <class S> void train(Arguments a) {
  a.validate(a.resume);
  for (const auto& [value, what] : {std::pair{a.perceptual_weight, "--perceptual"}, {a.tau, "--tau"}}) check(std::isfinite(value) && value >= 0, "options", what, " must be finite and not negative, found ", value);
  const std::string perceptual_file = a.perceptual_weight > 0 ? LossNetworks<S>::perceptual(a) : "", network_file = a.adversarial_weight > 0 ? LossNetworks<S>::network(a) : "";
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    using Decoder = typename S::Decoder;
    using Distance = typename LossNetworks<S>::template Distance<B, E>;
    make_folder(a.out);
    plot::require_gnuplot();
    Weights<typename S::Encoder, B, E> encoder(device);
    Weights<typename LossNetworks<S>::Perceptual, B, E> perceptual(device);
    load_model(a.encoder, encoder);
    if (!perceptual_file.empty()) load_model(perceptual_file, perceptual);
    const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::train, S::classes, a.skip_corrupt);
    const ImageSource source(dataset);
    const TrainingTitle title{.name = "decoder", .plot = "RAE decoder: the whole loss", .macs = 0, .log_y = false};
    const auto options_of = [&](auto objective) {
      objective.encoder = &encoder;
      objective.distance = Distance{&perceptual};
      objective.tau = a.tau;
      objective.law = a.half_normal ? NoiseLaw::half_normal : NoiseLaw::uniform;
      objective.perceptual_weight = a.perceptual_weight;
      objective.adversarial.weight = a.adversarial_weight;
      return objective;
    };
    if (a.adversarial_weight == 0) {
      using Objective = DecoderObjective<typename S::Encoder, B, E, Distance>;
      run_trainer(a, title, [&] { return std::make_unique<Trainer<Decoder, typename Decoder::ImageShape, Objective, B, E>>(device, options_of(Objective{}), a.train, a.optimiser); }, source);
      return;
    }
    using T = DecoderTrainer<typename S::Encoder, Decoder, typename LossNetworks<S>::Discriminator, Distance, B, E>;
    typename T::Network network(device);
    load_model(network_file, network);
    run_trainer(a, title, adversarial_maker<T>(a, a, device, network, options_of(typename T::Objective{})), source);
  });
}

}  // namespace

void add_train_decoder(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train-decoder", "train the decoder on noised latents");
  add_system_options(*command, *a);
  command->add_option("--tau", a->tau, "the most noise that is added to a latent; 0: none")->capture_default_str();
  command->add_flag("--half-normal", a->half_normal, "noise of |N(0, tau^2)| as in the paper's text, not of tau U(0, 1) as in its code");
  command->add_option("--perceptual", a->perceptual_weight, "weight of the perceptual distance")->capture_default_str();
  command->add_option("--perceptual-weights", a->perceptual, "safetensors of the network whose features tell images apart: LPIPS on VGG16; for fashion the bundled classifier if left out, which should then not be what scores the decoder's images");
  add_adversarial_options(*command, *a, "safetensors of the network that the adversary sees by: DINO's ViT-S/8; for fashion the encoder if left out");
  add_training_options(*command, *a);
  command->callback([a, command] {
    with_system(a->model, [&]<class S>() {
      prepare_training(*command, *a);
      if constexpr (parameter_count<typename S::Decoder>() < 100'000'000) train<S>(*a);
      else throw Error("model", text("the decoder of '", a->model, "' is too large to be trained by this program"));
    });
  });
}

}  // namespace example
