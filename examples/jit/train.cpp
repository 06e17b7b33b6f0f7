// jit train: Fashion-MNIST, the bundled sample of it, or a folder of images.
#include "../common/device.hpp"
#include "../common/fashion.hpp"
#include "../common/plot.hpp"
#include "../common/program.hpp"
#include "../common/progress.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/design/budget.hpp>
#include <sfumato/flow/objective.hpp>

#include <charconv>
#include <chrono>
#include <memory>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments {
  std::string model = "fashion", data, out = "out/jit";
  double minutes = 0;
  bool resume = false, with_changes = false, overwrite = false, skip_corrupt = false, steps_given = false;
  // Found on Fashion-MNIST; the published sizes want the paper's own: --batch 1024 --learning-rate 2e-4 --ema1 0.9999 ...
  TrainOptions train{.batch = 32, .learning_rate = 2e-3, .warmup = 100, .ema1 = 0.998, .ema2 = 0.99};
  AdamW optimiser{};
  LoopOptions loop{.steps = 8000, .checkpoint_every = 500};
};

/// The data named on the command line; else Fashion-MNIST where Debian puts it; else the bundled sample.
template <class Model> io::ImageDataset load_data(const Arguments& a) {
  namespace fs = std::filesystem;
  const std::string directory = fashion_or_bundled(a.data);
  const bool idx = fs::exists(fs::path(directory) / "train-images-idx3-ubyte.gz");
  auto dataset = idx ? io::load_fashion_mnist(directory, io::Split::train)
                     : io::load_image_folder(directory, image_size<Model>, image_channels<Model>, a.skip_corrupt ? io::OnCorrupt::skip : io::OnCorrupt::fail);
  check(dataset.height == image_size<Model> && dataset.width == image_size<Model> && dataset.channels == image_channels<Model>, "dataset",
        directory, " has images of ", dataset.height, " x ", dataset.width, " x ", dataset.channels, ", the model takes ", image_size<Model>, " x ",
        image_size<Model>, " x ", image_channels<Model>);
  check(dataset.classes <= Model::classes, "dataset", directory, " has ", dataset.classes, " classes, the model takes ", Model::classes);
  std::fprintf(stderr, "%s: %lld images, %d classes\n", directory.c_str(), static_cast<long long>(dataset.size()), dataset.classes);
  for (const auto& skipped : dataset.skipped) std::fprintf(stderr, "skipped: %s\n", skipped.c_str());
  return dataset;
}

/// The loss by step, and its mean over the last fiftieth of the run.
void plot_loss(const std::filesystem::path& csv, const std::filesystem::path& png) {
  plot::Series raw{"loss", {}, {}, "#c0c8e0"}, mean{"mean", {}, {}, "#203080"};
  std::ifstream file(csv);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    double step = 0, loss = 0;
    if (std::sscanf(line.c_str(), "%lf,%lf", &step, &loss) != 2) continue;
    raw.x.push_back(step);
    raw.y.push_back(loss);
  }
  const std::size_t window = std::max<std::size_t>(1, raw.y.size() / 50);
  for (std::size_t i = window; i <= raw.y.size(); i += std::max<std::size_t>(1, window / 4)) {
    mean.x.push_back(raw.x[i - 1]);
    mean.y.push_back(std::accumulate(raw.y.begin() + std::ptrdiff_t(i - window), raw.y.begin() + std::ptrdiff_t(i), 0.0) / double(window));
  }
  plot::lines(png, {.title = "JiT: v-loss of the clean-image prediction", .x_label = "step", .y_label = "loss", .log_y = true}, std::vector{raw, mean});
}

/// How many steps this machine does in the given time, from a few that are then thrown away: one to warm up, and those of
/// three seconds or a tenth of the time, but at least one.
Index steps_in(double seconds, const auto& make_trainer, const auto& data) {
  using Clock = std::chrono::steady_clock;
  const auto trainer = make_trainer();
  trainer->step(data);  // takes the memory
  const auto start = Clock::now();
  double elapsed = 0;
  Index steps = 0;
  while (elapsed < std::min(3.0, seconds / 10) || steps == 0) {
    trainer->step(data);
    ++steps;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  }
  return Index(std::clamp(seconds * double(steps) / elapsed, 1.0, 1e15));
}

/// The length of the cosine: that of the interrupted run, unless another one is asked for; in a new run at most what the time
/// is enough for, as the rate must have come down when it is up.
Index planned_steps(const Arguments& a, const auto& make_trainer, const auto& data) {
  if (a.resume) {
    if (a.with_changes) return a.loop.steps;
    const auto metadata = io::SafetensorsFile(a.loop.checkpoint).metadata();
    Index planned = a.loop.steps;
    if (const auto found = metadata.find("total_steps"); found != metadata.end())
      std::from_chars(found->second.data(), found->second.data() + found->second.size(), planned);
    return !a.steps_given || (a.minutes > 0 && planned < a.loop.steps) ? planned : a.loop.steps;
  }
  if (a.minutes == 0) return a.loop.steps;
  const Index possible = steps_in(0.93 * a.loop.seconds, make_trainer, data);
  if (possible >= a.loop.steps) return a.loop.steps;
  std::fprintf(stderr, "%g minutes are enough for about %lld of %lld steps here: the cosine ends there\n", a.minutes, static_cast<long long>(possible),
               static_cast<long long>(a.loop.steps));
  return possible;
}

/// For the last line of the output.
const char* name_of(Ended ended) {
  return ended == Ended::finished ? "done" : ended == Ended::out_of_time ? "out of time (go on with --resume)" : "interrupted (go on with --resume)";
}

/// Trains on `device` in elements E, what has been checked and read.
template <class Model, class E, class B> void train_on(B& device, Arguments& a, const ImageSource& source) {
  using Objective = FlowObjective<Space::x, Space::v>;
  const std::filesystem::path out = a.out;
  Objective objective;
  objective.noise_scale = noise_scale<Model>();
  const auto make_trainer = [&] { return std::make_unique<Trainer<Model, typename Model::ImageShape, Objective, B, E>>(device, objective, a.train, a.optimiser); };
  if (a.train.schedule == Schedule::cosine) a.train.total_steps = a.loop.steps = planned_steps(a, make_trainer, source);
  const auto owner = make_trainer();
  auto& trainer = *owner;
  a.loop.log = out / "loss.csv";
  if (a.resume) {
    load_checkpoint(a.loop.checkpoint, trainer, a.with_changes ? Resume::with_changes : Resume::exact);
    std::fprintf(stderr, "resumed after step %lld\n", static_cast<long long>(trainer.step_count()));
  }
  if (a.overwrite) std::filesystem::remove(a.loop.checkpoint);  // or a run killed before its first save would resume the old one
  const double rate = matrix_rate<E>(device);
  Ended ended{};
  double speed = 0;
  {
    ProgressLine line("jit");
    ended = run_training(trainer, source, a.loop, [&](const Progress& p) {
      line(p);
      speed = p.samples_per_second;
    });
  }
  std::fprintf(stderr, "%.0f images/s: %.1f %% of what a large matrix product does here (%.3g multiply-adds/s); a backward pass is taken for two forward ones\n", speed,
               100 * 3 * double(cost_of<Model>(1).macs) * speed / rate, rate);
  plot_loss(a.loop.log, out / "loss.png");
  std::printf("%s after step %lld; wrote %s, %s, %s\n", name_of(ended), static_cast<long long>(trainer.step_count()), a.loop.checkpoint.c_str(), a.loop.log.c_str(), (out / "loss.png").c_str());
}

template <class Model> void train(Arguments a) {
  const std::filesystem::path out = a.out;
  a.loop.checkpoint = out / "checkpoint.safetensors";
  a.train.total_steps = a.loop.steps;
  a.loop.seconds = 60 * a.minutes;
  // What can be known before the data are read and the training begins.
  check(a.loop.steps > 0, "train-options", "the number of steps must be positive, found ", a.loop.steps);
  check(std::isfinite(a.minutes) && a.minutes >= 0, "train-options", "--minutes must be finite and not negative, found ", a.minutes);
  check(a.resume || a.overwrite || !std::filesystem::exists(a.loop.checkpoint), "output-exists", a.loop.checkpoint.string(),
        " is there already: go on from it with --resume, or begin anew with --overwrite");
  a.train.validate();
  a.planned_bytes = std::size_t(a.precision == "bf16" ? training_bytes<Model, bf16>(a.train.batch / a.train.accumulate) : training_bytes<Model>(a.train.batch / a.train.accumulate));
  on_device(a, [&]<class E>(auto& device) {
    make_folder(out);
    plot::require_gnuplot();
    const auto dataset = load_data<Model>(a);
    train_on<Model, E>(device, a, ImageSource(dataset));
  });
}

}  // namespace

void add_train(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train", "train a model");
  command->add_option("--model", a->model, "fashion, folder-64, or a published B size, e.g. JiT-B/16")->capture_default_str();
  command->add_option("--data", a->data, "folder with IDX files, or with one subfolder of PNG/JPEG images per class");
  command->add_option("--out", a->out, "folder for checkpoint, log and plot")->capture_default_str();
  command->add_option("--steps", a->loop.steps, "last step; with --cosine and --minutes at most, as many as the time is enough for")->capture_default_str();
  command->add_option("--minutes", a->minutes, "stop after so many minutes; 0: no limit. A new run with --cosine is planned to end by then");
  command->add_option("--batch", a->train.batch)->capture_default_str();
  command->add_option("--accumulate", a->train.accumulate, "micro-batches per step")->capture_default_str();
  command->add_option("--learning-rate", a->train.learning_rate)->capture_default_str();
  command->add_option("--warmup", a->train.warmup, "steps of linear warm-up")->capture_default_str();
  command->add_option("--weight-decay", a->optimiser.weight_decay)->capture_default_str();
  command->add_option("--clip", a->train.clip, "largest gradient norm; 0: no clipping")->capture_default_str();
  command->add_option("--ema1", a->train.ema1, "decay of the first moving average, the one that samples are drawn from")->capture_default_str();
  command->add_option("--ema2", a->train.ema2)->capture_default_str();
  command->add_flag("--cosine", [a](auto) { a->train.schedule = Schedule::cosine; }, "cosine schedule over --steps");
  command->add_flag("--flip", a->train.flip, "random horizontal flips");
  command->add_option("--seed", a->train.seed)->capture_default_str();
  add_device_options(*command, *a);
  command->add_option("--checkpoint-every", a->loop.checkpoint_every, "steps between saves")->capture_default_str();
  command->add_flag("--resume", a->resume, "go on from the checkpoint in --out, with the same options");
  command->add_flag("--with-changes", a->with_changes, "with --resume: the options may differ from the checkpoint's")->needs("--resume");
  command->add_flag("--overwrite", a->overwrite, "begin anew although --out holds a checkpoint")->excludes("--resume");
  command->add_flag("--skip-corrupt", a->skip_corrupt, "leave damaged images of a folder out instead of stopping");
  command->callback([a, command] {
    a->steps_given = command->count("--steps") > 0;
    check(command->count("--data") == 0 || !a->data.empty(), "dataset", "--data is empty, expected a folder");
    with_model(a->model, [&]<class Model>() {
      // Each size is a program of its own; those beyond a desk's memory are left out of this one.
      if constexpr (parameter_count<Model>() < 200'000'000) train<Model>(*a);
      else throw Error("model", text("'", a->model, "' is too large to be trained by this program, which knows fashion, folder-64 and the B sizes"));
    });
  });
}

}  // namespace example
