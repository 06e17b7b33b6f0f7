// dsd train: encoder, decoder and diffusion model at once.
#include "../common/adversary.hpp"
#include "../common/images.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/train/dsd_trainer.hpp>

#include <cmath>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments, DataArguments, AdversarialArguments {
  std::string model = "fashion", teacher, perceptual, time_weight = "one";
  double reconstruction = 1, perceptual_weight = 0.5, distillation = 0.1, velocity = 1, classification = 0.05, alignment = 0.1, self_alignment = 0.05, noise = 0.2, dropout = 0.1, alarm = 1.5;
  OnlineView view{.mask = 0.3};
  // Found on Fashion-MNIST; the paper does not say its own: docs/dsd.md.
  Arguments() {
    out = "out/dsd";
    train = {.batch = 32, .learning_rate = 1.5e-3, .minimum_rate = 1e-5, .schedule = Schedule::cosine, .warmup = 200, .clip = 1, .ema1 = 0.996, .ema2 = 0.98};
    optimiser = {.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0};
    loop = {.steps = 50'000, .checkpoint_every = 500};
    adversarial_weight = 0;
  }
};

template <class S> void train(Arguments a) {
  a.validate(a.resume);
  check(a.time_weight == "one" || a.time_weight == "velocity", "options", "--time-weight is one or velocity, found '", a.time_weight, "'");
  check(!a.train.ema1_rises || a.train.schedule != Schedule::constant, "options", "--ema1-rises needs a schedule that ends, such as --cosine");
  check(std::isfinite(a.alarm) && a.alarm >= 0, "options", "--alarm must be finite and not negative, found ", a.alarm);
  for (const auto& [weight, file, what] : {std::tuple{a.perceptual_weight, &a.perceptual, "--perceptual-weights, or --perceptual 0"}, {a.alignment, &a.teacher, "--teacher, or --alignment 0"}, {a.adversarial_weight, &a.network, "--network, or --adversarial 0"}})
    check(weight == 0 || !file->empty(), "options", what, ", is needed");
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    using Distance = typename S::template Distance<B, E>;
    using Times = UniformBetween<std::ratio<0>, std::ratio<19, 20>>;
    make_folder(a.out);
    plot::require_gnuplot();
    Weights<typename S::Teacher, B, E> teacher(device);
    Weights<typename S::Perceptual, B, E> perceptual(device);
    if (a.alignment > 0) load_frozen(a.teacher, teacher);
    if (a.perceptual_weight > 0) load_frozen(a.perceptual, perceptual);
    const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::train, S::Model::classes, a.skip_corrupt);
    const ImageSource source(dataset);
    const TrainingTitle title{.name = "dsd", .plot = "DSD: the whole loss", .macs = 0, .log_y = false};
    const auto options_of = [&](auto objective) {
      if (a.perceptual_weight > 0) objective.distance = Distance{&perceptual};
      if (a.alignment > 0) objective.teacher = &teacher;
      objective.reconstruction_weight = a.reconstruction;
      objective.perceptual_weight = a.perceptual_weight;
      objective.adversarial.weight = a.adversarial_weight;
      objective.distillation_weight = a.distillation;
      objective.velocity_weight = a.velocity;
      objective.class_weight = a.classification;
      objective.alignment_weight = a.alignment;
      objective.self_alignment_weight = a.self_alignment;
      objective.time_weight = a.time_weight == "one" ? DistillationWeight::one : DistillationWeight::velocity;
      objective.label_dropout = a.dropout;
      objective.noise = a.noise;
      objective.view = a.view;
      return objective;
    };
    const auto watched = [&](const auto& make, auto of) {
      return [make, of, alarm = a.alarm] {
        auto trainer = make();
        of(*trainer).watch().alarm = alarm;
        return trainer;
      };
    };
    if (a.adversarial_weight == 0) {
      using T = DSDTrainer<typename S::Model, DSDObjective<SelfDistillation<>, B, E, Times, Distance, typename S::Teacher>, B, E>;
      run_trainer(a, title, watched([&] { return std::make_unique<T>(device, options_of(decltype(T::objective){}), a.train, a.optimiser); }, [](auto& t) -> auto& { return t; }), source);
      return;
    }
    using Discriminator = typename S::Discriminator;
    using T = AdversarialTrainer<DSDTrainer<typename S::Model, DSDObjective<SelfDistillation<>, B, E, Times, Distance, typename S::Teacher, AdversarialLoss<Discriminator, B, E>>, B, E>, Discriminator>;
    typename T::Network network(device);
    load_frozen(a.network, network);
    run_trainer(a, title, watched(adversarial_maker<T>(a, a, device, network, options_of(typename T::Objective{})), [](auto& t) -> auto& { return t.generator(); }), source);
  });
}

}  // namespace

void add_train(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train", "train encoder, decoder and diffusion model at once");
  add_model_option(*command, a->model);
  add_data_options(*command, *a);
  command->add_option("--teacher", a->teacher, "safetensors of the frozen encoder: of pretrain_encoder, or DINOv2's");
  command->add_option("--perceptual-weights", a->perceptual, "safetensors of the network whose features tell images apart: of classifier_train, or LPIPS on VGG16");
  command->add_option("--reconstruction", a->reconstruction, "weight of the squared error of images")->capture_default_str();
  command->add_option("--perceptual", a->perceptual_weight, "weight of the perceptual distance")->capture_default_str();
  add_adversarial_options(*command, *a, "safetensors of the network that the adversary sees by: the teacher's of fashion, or DINO's ViT-S/8");
  command->add_option("--distillation", a->distillation, "weight of self-distillation (lambda)")->capture_default_str();
  command->add_option("--time-weight", a->time_weight, "of self-distillation at time t: one, or velocity (1 / (1 - t)^2, which is 20 on average: --distillation wants to be as much less)")->capture_default_str();
  command->add_option("--velocity", a->velocity, "weight of the velocity head's loss, which moves that head alone")->capture_default_str();
  command->add_option("--classification", a->classification, "weight of a classifier on the encoder's tokens")->capture_default_str();
  command->add_option("--alignment", a->alignment, "weight of an early block's alignment with the teacher")->capture_default_str();
  command->add_option("--self-alignment", a->self_alignment, "weight of an early block's alignment with a deep one of the averaged weights")->capture_default_str();
  command->add_option("--noise", a->noise, "the most noise on latents that are painted from (gamma)")->capture_default_str();
  command->add_option("--label-dropout", a->dropout)->capture_default_str();
  command->add_option("--mask", a->view.mask, "the online view: largest share of patches that are hidden")->capture_default_str();
  command->add_option("--shift", a->view.shift, "and by which share of its side an image is moved at most")->capture_default_str();
  command->add_option("--colour", a->view.colour, "and how much its brightness and contrast change")->capture_default_str();
  command->add_option("--alarm", a->alarm, "stop where the latents' effective rank falls below this; 0: never")->capture_default_str();
  add_training_options(*command, *a);
  command->add_flag("--ema1-rises", a->train.ema1_rises, "the target encoder's decay rises to 1 along half a cosine");
  command->callback([a, command] {
    with_system(a->model, [&]<class S>() {
      prepare_training(*command, *a);
      // Each size is a program of its own; those beyond a desk's memory are left out of this one.
      if constexpr (parameter_count<typename S::Model>() < 60'000'000) train<S>(*a);
      else throw Error("model", text("'", a->model, "' is too large to be trained by this program"));
    });
  });
}

}  // namespace example
