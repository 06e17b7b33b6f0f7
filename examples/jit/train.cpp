// jit train: Fashion-MNIST, the bundled sample of it, or a folder of images.
#include "../common/images.hpp"
#include "../common/training.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/design/budget.hpp>
#include <sfumato/flow/objective.hpp>

#include <memory>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : TrainingArguments {
  std::string model = "fashion", data;
  bool skip_corrupt = false;
  // Found on Fashion-MNIST; the published sizes want the paper's own: --batch 1024 --learning-rate 2e-4 --ema1 0.9999 ...
  Arguments() {
    out = "out/jit";
    train = {.batch = 32, .learning_rate = 2e-3, .warmup = 100, .ema1 = 0.998, .ema2 = 0.99};
    loop = {.steps = 8000, .checkpoint_every = 500};
  }
};

template <class Model> void train(Arguments a) {
  using Objective = FlowObjective<Space::x, Space::v>;
  a.planned_bytes = std::size_t(a.precision == "bf16" ? training_bytes<Model, bf16>(a.train.batch / a.train.accumulate) : training_bytes<Model>(a.train.batch / a.train.accumulate));
  on_device(a, [&]<class E>(auto& device) {
    make_folder(a.out);
    plot::require_gnuplot();
    const auto dataset = load_images<image_size<Model>, image_channels<Model>>(a.data, io::Split::train, Model::classes, a.skip_corrupt);
    Objective objective;
    objective.noise_scale = noise_scale<Model>();
    using B = std::remove_reference_t<decltype(device)>;
    const auto make_trainer = [&] { return std::make_unique<Trainer<Model, typename Model::ImageShape, Objective, B, E>>(device, objective, a.train, a.optimiser); };
    run_trainer(a, {"jit", "JiT: v-loss of the clean-image prediction", cost_of<Model>(1).macs}, make_trainer, ImageSource(dataset));
  });
}

}  // namespace

void add_train(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train", "train a model");
  command->add_option("--model", a->model, "fashion, folder-64, or a published B size, e.g. JiT-B/16")->capture_default_str();
  command->add_option("--data", a->data, "folder with IDX files, or with one subfolder of PNG/JPEG images per class");
  add_training_options(*command, *a);
  command->add_flag("--skip-corrupt", a->skip_corrupt, "leave damaged images of a folder out instead of stopping");
  command->callback([a, command] {
    check(command->count("--data") == 0 || !a->data.empty(), "dataset", "--data is empty, expected a folder");
    with_model(a->model, [&]<class Model>() {
      // Each size is a program of its own; those beyond a desk's memory are left out of this one.
      if constexpr (parameter_count<Model>() < 200'000'000) {
        prepare_training(*command, *a);
        train<Model>(*a);
      } else throw Error("model", text("'", a->model, "' is too large to be trained by this program, which knows fashion, folder-64 and the B sizes"));
    });
  });
}

}  // namespace example
