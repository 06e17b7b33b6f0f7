// Trains the small Fashion-MNIST classifier whose weights score generated images.
//   build/.../classifier_train --out examples/data/fashion_classifier.safetensors
#include "../common/fashion_classifier.hpp"
#include "../common/device.hpp"
#include "../common/fashion.hpp"
#include "../common/fashion_score.hpp"
#include "../common/program.hpp"
#include "../common/progress.hpp"

#include <sfumato/flow/classification.hpp>

#include <cmath>

using namespace sfumato;

namespace {

template <class B, class E> using Trained = Trainer<example::FashionClassifier, example::FashionImage, Classification, B, E>;

struct Arguments : example::DeviceArguments {
  std::string data;
  std::filesystem::path out = "fashion_classifier.safetensors";
  double epochs = 10;
  TrainOptions options{.batch = 128, .learning_rate = 2e-3, .schedule = Schedule::cosine, .warmup = 200, .clip = 1,
                       .ema1 = 0.998, .ema2 = 0.99, .flip = true};
  AdamW optimiser{.weight_decay = 0.05};
};

void run(Arguments a) {
  check(std::isfinite(a.epochs) && a.epochs > 0, "options", "--epochs must be finite and positive, found ", a.epochs);
  example::require_writable(a.out);
  const std::string folder = example::fashion_or_bundled(a.data);
  const auto train = io::load_fashion_mnist(folder, io::Split::train), test = io::load_fashion_mnist(folder, io::Split::test);
  ImageSource(test).require_shape<example::FashionImage>();  // before the training, not after it
  const double steps = a.epochs * double(train.size()) / double(a.options.batch);
  check(steps >= 1 && steps < 2147483648.0, "options", "--epochs ", a.epochs, " makes ", steps, " steps of ", a.options.batch,
        " images, expected 1 to 2^31");
  a.options.total_steps = Index(steps);
  example::on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Trained<B, E> trainer(device, Classification{}, a.options, a.optimiser);
    example::train(trainer, ImageSource(train), {.steps = a.options.total_steps}, "classifier");
    save_buffers<B, float>(a.out, parameter_table(trainer.model()), {{"", &trainer.ema1()}}, {});
  });
  backend::Cpu cpu(a.threads);
  std::printf("right on the test set: %.2f %%\n", 100 * example::FashionScorer(cpu, test, a.out).accuracy());
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("Trains the Fashion-MNIST classifier that scores generated images");
  app.add_option("--data", a.data, "folder with Fashion-MNIST's four .gz files")->check(example::folder_named);
  app.add_option("--out", a.out, "weights to write")->capture_default_str();
  app.add_option("--epochs", a.epochs, "passes over the training set")->capture_default_str();
  app.add_option("--learning-rate", a.options.learning_rate)->capture_default_str();
  app.add_option("--seed", a.options.seed)->capture_default_str();
  example::add_device_options(app, a);
  return example::run_program(app, argc, argv, [&] { run(a); });
}
