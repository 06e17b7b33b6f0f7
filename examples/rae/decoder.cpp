// rae train-decoder: from the frozen encoder's noised latents back to pixels.
#include "../common/fashion_classifier.hpp"
#include "../common/images.hpp"
#include "../common/training.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/train/adversary.hpp>
#include <sfumato/train/feature_distance.hpp>

#include <algorithm>
#include <optional>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments, SystemArguments {
  std::string perceptual, network;
  double tau = 0.8, perceptual_weight = 1, adversarial_weight = 0.75, discriminator_rate = 2e-4;
  std::optional<double> discriminator_from, adversarial_from;
  double discriminator_begin() const { return discriminator_from.value_or(6.0 / 16); }  // RAE: epochs 6 and 8 of 16
  double adversarial_begin() const { return adversarial_from.value_or(std::max(8.0 / 16, discriminator_begin())); }
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
  for (const auto& [share, what] : {std::pair{a.discriminator_begin(), "--discriminator-from"}, {a.adversarial_from.value_or(0), "--adversarial-from"}})
    check(std::isfinite(share) && share >= 0 && share <= 1, "options", what, " must be a share of the run, from 0 to 1, found ", share);
  check(a.resume || a.adversarial_begin() >= a.discriminator_begin(), "options", "--adversarial-from must not be less than --discriminator-from, which is ", a.discriminator_begin(), ", found ", a.adversarial_begin());
  for (const auto& [value, what] : {std::pair{a.discriminator_rate, "--discriminator-rate"}, {a.adversarial_weight, "--adversarial"}, {a.perceptual_weight, "--perceptual"}, {a.tau, "--tau"}})
    check(std::isfinite(value) && value >= 0, "options", what, " must be finite and not negative, found ", value);
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
      objective.adversarial_weight = a.adversarial_weight;
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
    a.phases = {0, a.discriminator_begin(), a.adversarial_begin()};
    // A resumed run keeps its beginnings, whatever its length is now, unless others are asked for.
    const auto begun = a.resume ? io::SafetensorsFile(a.loop.checkpoint).metadata() : std::map<std::string, std::string>{};
    run_trainer(a, title, [&] {
      const auto step_at = [&](bool asked, double share, const char* kept) {
        if (const auto found = begun.find(kept); !asked && found != begun.end()) return Index{std::atoll(found->second.c_str())};
        return a.measured ? (share <= *a.measured ? Index{0} : a.loop.steps) : Index(share * double(a.loop.steps));
      };
      auto objective = options_of(typename T::Objective{});
      objective.adversarial_from = step_at(a.adversarial_from.has_value(), a.adversarial_begin(), "objective.adversarial_from");
      typename T::DiscriminatorOptions other{a.train, {.beta1 = 0.5, .beta2 = 0.9, .weight_decay = 0}, step_at(a.discriminator_from.has_value(), a.discriminator_begin(), "discriminator.objective.from")};
      other.train.total_steps = std::max<Index>(1, a.loop.steps - other.from);
      other.train.hold = std::clamp<Index>(a.train.hold - other.from, 0, other.train.total_steps - 1);
      other.train.learning_rate = a.discriminator_rate;
      other.train.minimum_rate = a.discriminator_rate / 10;
      return std::make_unique<T>(device, objective, network, a.train, a.optimiser, other);
    }, source);
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
  command->add_option("--adversarial", a->adversarial_weight, "weight of the adversary's opinion; 0: none is trained")->capture_default_str();
  command->add_option("--network", a->network, "safetensors of the network that the adversary sees by: DINO's ViT-S/8; for fashion the encoder if left out");
  command->add_option("--discriminator-from", a->discriminator_from, "share of the run after which the adversary is trained; 6/16 if left out");
  command->add_option("--adversarial-from", a->adversarial_from, "share of the run after which the decoder heeds it; 8/16 if left out");
  command->add_option("--discriminator-rate", a->discriminator_rate, "the adversary's learning rate; a tenth of it in the end")->capture_default_str();
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
