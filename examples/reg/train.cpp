// reg train: the diffusion model, on latents and tokens that `prepare` worked out.
#include "../common/training.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/train/latent_source.hpp>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments {
  std::string model = "fashion", latents;
  double class_scale = 1, class_weight = 0.03, alignment_weight = 0.5;
  // For minutes on Fashion-MNIST; the published sizes want the paper's own: docs/reg.md.
  Arguments() {
    out = "out/diffusion";
    train = {.batch = 64, .learning_rate = 1.5e-3, .schedule = Schedule::cosine, .warmup = 200, .clip = 1, .ema1 = 0.995, .ema2 = 0.99};
    optimiser = {.beta2 = 0.95, .weight_decay = 0};  // the paper's 0.999 was better in reg_speedup, and not tried with this schedule
    loop = {.steps = 100'000, .checkpoint_every = 500};
  }
};

template <class S> void train(Arguments a) {
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    using Model = typename S::Model;
    using Objective = typename S::Objective;
    make_folder(a.out);
    plot::require_gnuplot();
    const io::SafetensorsFile file(a.latents);
    const LatentSource<Model, Objective> source(file);
    Objective objective{.class_scale = a.class_scale, .class_weight = a.class_weight, .alignment_weight = a.alignment_weight};
    read_latents(file, objective);
    const auto make = [&] { return std::make_unique<Trainer<Model, typename Objective::template Sample<Model>, Objective, B, E>>(device, objective, a.train, a.optimiser); };
    run_trainer(a, {.name = "reg", .plot = "REG: velocities of latents and class token, alignment", .macs = cost_of<Model>(1).macs, .log_y = false}, make, source);
  });
}

}  // namespace

void add_train(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train", "train the diffusion model");
  add_model_option(*command, a->model);
  command->add_option("--latents", a->latents, "safetensors of prepare")->required();
  command->add_option("--class-scale", a->class_scale, "of the teacher's class token: the larger, the more noise it takes to hide it, and the more its velocity weighs")->capture_default_str();
  command->add_option("--class-weight", a->class_weight, "of the class token's velocity (beta)")->capture_default_str();
  command->add_option("--alignment-weight", a->alignment_weight, "of the alignment with the teacher (lambda)")->capture_default_str();
  add_training_options(*command, *a);
  command->callback([a, command] {
    with_system(a->model, [&]<class S>() {
      prepare_training(*command, *a);
      // Each size is a program of its own; those beyond a desk's memory are left out of this one.
      if constexpr (parameter_count<typename S::Model>() < 200'000'000) train<S>(*a);
      else throw Error("model", text("the diffusion model of '", a->model, "' is too large to be trained by this program"));
    });
  });
}

}  // namespace example
