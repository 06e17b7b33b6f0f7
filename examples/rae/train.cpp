// rae train: the diffusion model, on what the frozen encoder makes of images.
#include "../common/images.hpp"
#include "../common/training.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/latent_statistics.hpp>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments, SystemArguments {
  std::string statistics;
  bool guide = false, uniform_times = false;
  // Found on Fashion-MNIST; the published sizes want the paper's own: docs/rae.md.
  Arguments() {
    out = "out/diffusion";
    train = {.batch = 32, .learning_rate = 1.5e-3, .schedule = Schedule::cosine, .warmup = 200, .clip = 1, .ema1 = 0.998, .ema2 = 0.99};
    loop = {.steps = 100'000, .checkpoint_every = 500};
  }
};

template <class S, class Model, class Flow> void train_on(Arguments a) {
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    make_folder(a.out);
    plot::require_gnuplot();
    Weights<typename S::Encoder, B, E> encoder(device);
    Weights<typename S::Scale, B, E> scale(device, 0);
    load_model(a.encoder, encoder);
    read_statistics(a.statistics, scale);
    require_one_encoder(encoder_of(encoder), encoder_of(a.statistics));
    const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::train, S::classes, a.skip_corrupt);
    using Objective = LatentObjective<typename S::Encoder, Flow, B, E>;
    const Objective objective{&encoder, &scale};
    const auto make = [&] { return std::make_unique<Trainer<Model, typename S::Decoder::ImageShape, Objective, B, E>>(device, objective, a.train, a.optimiser); };
    run_trainer(a, {"rae", "RAE: velocity loss in the encoder's latents", cost_of<Model>(1).macs, cost_of<typename S::Encoder>(1).macs}, make, ImageSource(dataset));
  });
}
template <class S, class Model> void train(const Arguments& a) {
  if (a.uniform_times) train_on<S, Model, typename S::UniformObjective>(a);
  else train_on<S, Model, typename S::Objective>(a);
}

}  // namespace

void add_train(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train", "train the diffusion model");
  add_system_options(*command, *a);
  command->add_option("--statistics", a->statistics, "safetensors of encode-stats, or published and converted")->required();
  command->add_flag("--guide", a->guide, "train the weaker model that AutoGuidance leads away from");
  command->add_flag("--uniform-times", a->uniform_times, "uniform times, as first released and most likely behind the paper's tables, not logit-normal as since December 2025");
  add_training_options(*command, *a);
  command->callback([a, command] {
    with_system(a->model, [&]<class S>() {
      prepare_training(*command, *a);
      if (a->guide) {
        if constexpr (std::is_same_v<S, Fashion>) return train<S, FashionGuide>(*a);
        else return train<S, DiTDH_S<S::Encoder::token_dim, S::Encoder::grid>>(*a);
      }
      // Each size is a program of its own; those beyond a desk's memory are left out of this one.
      if constexpr (parameter_count<typename S::Diffusion>() < 200'000'000) train<S, typename S::Diffusion>(*a);
      else throw Error("model", text("the diffusion model of '", a->model, "' is too large to be trained by this program"));
    });
  });
}

}  // namespace example
