// Nine ways to train one network: JiT's table 1 and 2a ("Back to Basics: Let Denoising Generative Models Denoise", arXiv
// 2511.13720) on Fashion-MNIST. Patches of 14 make tokens of 196 values, and the trunk is narrower than that: clean data
// passes, noise and velocity do not. Each pair gets the same network, steps, data order and random numbers.
#include "common/device.hpp"
#include "common/fashion.hpp"
#include "common/fashion_score.hpp"
#include "common/program.hpp"
#include "common/progress.hpp"

#include <sfumato/sfumato.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string_view>
#include <type_traits>

namespace spaces {

using namespace sfumato;

using Input = ImagePatches<28, 1, 14, 10>;
using Trunk = Transformer<128, 4, RMSNorm, SwiGLU, Heads<4>, QKNorm, Rotary, AdaLNZero, WideResidual>;
using Image = Shape<dynamic, 1, 28, 28>;

/// The network is narrower than its tokens. For eps and v that breaks the rule `output_path`: here on purpose.
template <Space P> using Model =
    std::conditional_t<P == Space::x, JiT<Input, Trunk>, JiT<Input, Trunk, Head<Linear>, Waive<rule::output_path>>>;
static_assert(Trunk::width < Input::token_dim);

/// Prediction and loss, as --only names them.
constexpr std::string_view pairs[] = {"x/x", "x/eps", "x/v", "eps/x", "eps/eps", "eps/v", "v/x", "v/eps", "v/v"};

struct Options : example::DeviceArguments {
  Index steps = 4000, batch = 128, samples = 2000;
  double rate = 2e-3, ema = 0.998;
  SamplerOptions sampler{.steps = 15, .guidance = 2.5, .guidance_low = 0.1};
  std::uint64_t seed = 1;
  std::vector<std::string> only;
  std::filesystem::path data, out = "out/jit_spaces";
  std::filesystem::path classifier = std::filesystem::path(EXAMPLES_DATA_DIR) / "fashion_classifier.safetensors";
};

/// What is measured of one pair.
struct Result {
  Space prediction, loss_space;
  double loss;  ///< in its own loss space, mean of the last tenth of the steps: rows do not compare
  example::Score score;
  double seconds;
  std::vector<float> first;  ///< the first sample of each class
};

/// What all pairs share.
template <class B, class E> struct Setting {
  const Options& options;
  B& device;
  const ImageSource& data;
  example::FashionScorer& scorer;
  std::vector<int> labels;
};

/// One guided sample per label, (labels, 1, 28, 28), limited to [-1, 1] as a saved image would be. What is not finite
/// becomes -1, and is reported under the pair's name.
template <class Trainer> std::vector<float> generate(Trainer& trainer, const auto& s, const std::string& pair) {
  constexpr std::size_t batch = 200;
  auto run = trainer.run(trainer.ema1());
  std::vector<float> images(s.labels.size() * std::size_t(Image::row));
  for (std::size_t first = 0; first < s.labels.size(); first += batch) {
    const std::span<const int> labels = std::span(s.labels).subspan(first, std::min(batch, s.labels.size() - first));
    const auto z =
        sample<Image>(run, trainer.model(), trainer.objective, labels, s.options.seed, Index(first), s.options.sampler);
    ops::output(run, z, std::span(images).subspan(first * std::size_t(Image::row), std::size_t(z.size())));
  }
  std::size_t lost = 0;
  for (float& value : images) {
    lost += !std::isfinite(value);
    value = std::isfinite(value) ? std::clamp(value, -1.0f, 1.0f) : -1.0f;
  }
  if (lost > 0)
    std::fprintf(stderr, "%s: %zu of %zu generated values are not finite and count as -1\n", pair.c_str(), lost,
                 images.size());
  return images;
}

/// Trains one pair; returns the mean loss of the last tenth of the steps.
template <class Trainer> double train_pair(Trainer& trainer, const auto& s, const std::string& title) {
  LoopOptions loop;
  loop.report_every = 1;
  loop.steps = s.options.steps;
  example::ProgressLine line(title);
  double sum = 0;
  Index count = 0;
  const Ended ended = run_training(trainer, s.data, loop, [&](const Progress& p) {
    if (p.last.step % 50 == 0 || p.last.step == p.steps) line(p);
    if (p.last.step <= p.steps - p.steps / 10) return;
    sum += p.last.loss;
    ++count;
  });
  line.finish();
  check(ended == Ended::finished, "interrupted", title, ": stopped at step ", trainer.step_count());
  return sum / double(count);
}

/// A table for programs, and a picture with a row for each pair.
void write_results(const std::filesystem::path& folder, const std::vector<Result>& results) {
  std::string csv = "prediction,loss_space,loss,frechet,recognised,precision,recall,seconds\n";
  std::vector<float> rows;
  for (const Result& r : results) {
    csv += text(name_of(r.prediction), ',', name_of(r.loss_space), ',', r.loss, ',', r.score.frechet, ',',
                r.score.recognised, ',', r.score.precision, ',', r.score.recall, ',', r.seconds, '\n');
    rows.insert(rows.end(), r.first.begin(), r.first.end());
  }
  example::write_text(folder / "results.csv", csv);
  io::write_png(folder / "samples.png", example::sample_grid(rows, 28, 10));
}

TrainOptions train_options(const Options& o) {
  TrainOptions train;
  train.batch = o.batch;
  train.learning_rate = o.rate;
  train.minimum_rate = o.rate / 20;
  train.schedule = Schedule::cosine;
  train.total_steps = o.steps;
  train.warmup = std::min<Index>(200, o.steps / 10);
  train.ema1 = train.ema2 = o.ema;
  train.seed = o.seed;
  return train;
}

template <Space P, Space L, class B, class E> void run_pair(const Setting<B, E>& s, std::vector<Result>& results) {
  const Options& o = s.options;
  const std::string name = text(name_of(P), "/", name_of(L));
  if (!o.only.empty() && std::find(o.only.begin(), o.only.end(), name) == o.only.end()) return;
  const auto start = std::chrono::steady_clock::now();
  Trainer<Model<P>, Image, FlowObjective<P, L>, B, E> trainer(s.device, {}, train_options(o));
  const double loss = train_pair(trainer, s, text(name_of(P), "-prediction, ", name_of(L), "-loss"));
  const std::vector<float> images = generate(trainer, s, name);
  Result r{P, L, loss, s.scorer.score(images, s.labels), 0, {images.begin(), images.begin() + 10 * Image::row}};
  r.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-10s  %-5s  %9.4g  %9.3f  %9.1f %%  %9.3f  %7.3f  %7.0f\n", name_of(P), name_of(L), r.loss,
              r.score.frechet, 100 * r.score.recognised, r.score.precision, r.score.recall, r.seconds);
  std::fflush(stdout);
  results.push_back(std::move(r));
  write_results(o.out, results);  // after each pair: a run may be stopped
}

template <Space P> void run_prediction(const auto& s, std::vector<Result>& results) {
  run_pair<P, Space::x>(s, results);
  run_pair<P, Space::eps>(s, results);
  run_pair<P, Space::v>(s, results);
}

/// The claim of the experiment in two lines.
void summarise(const std::vector<Result>& results) {
  double worst_x = 0, best_other = 1e300, recognised = 1;
  for (const Result& r : results) {
    if (r.prediction == Space::x) {
      worst_x = std::max(worst_x, r.score.frechet);
      recognised = std::min(recognised, r.score.recognised);
    } else {
      best_other = std::min(best_other, r.score.frechet);
    }
  }
  std::printf(
      "x-prediction: Frechet distance at most %.3f, at least %.1f %% recognised; eps and v: Frechet distance at least "
      "%.3f (%.1f times as far)\n",
      worst_x, 100 * recognised, best_other, best_other / worst_x);
}

/// Throws Error("options"), Error("train-options") and Error("sampler-options"): before the first of nine trainings.
void validate(const Options& o) {
  check(o.steps >= 10, "options", "--steps must be at least 10, found ", o.steps);
  check(o.batch > 0, "options", "--batch must be positive, found ", o.batch);
  check(o.steps <= std::numeric_limits<Index>::max() / o.batch, "options",
        "--steps times --batch must be below 2^63 samples, found ", o.steps, " times ", o.batch);
  check(std::isfinite(o.rate) && o.rate > 0, "options", "--rate must be finite and positive, found ", o.rate);
  check(o.samples >= 10 && o.samples <= 1'000'000 && o.samples % 10 == 0, "options",
        "--samples must be a multiple of 10 from 10 to 1000000, found ", o.samples);
  for (const std::string& name : o.only) {
    std::string known;
    for (const std::string_view pair : pairs) known += text(known.empty() ? "" : ", ", pair);
    check(std::find(std::begin(pairs), std::end(pairs), name) != std::end(pairs), "options", "--only: unknown pair '",
          name, "', known: ", known);
  }
  train_options(o).validate();
  o.sampler.validate();
}

void run(const Options& o) {
  validate(o);
  example::make_folder(o.out);
  for (const char* file : {"results.csv", "samples.png"}) example::require_writable(o.out / file);
  backend::Cpu cpu(o.threads);  // scores, whatever trains
  const auto dataset = io::load_fashion_mnist(o.data, io::Split::train),
             test = io::load_fashion_mnist(o.data, io::Split::test);
  const ImageSource source(dataset);
  example::FashionScorer scorer(cpu, test, o.classifier);
  std::vector<int> labels;
  for (Index i = 0; i < o.samples; ++i) labels.push_back(static_cast<int>(i % 10));
  std::printf(
      "Fashion-MNIST, %d tokens of %d values, width %d, depth %d, %lld parameters, %.1f M multiply-adds; %lld steps of "
      "%lld, Adam %g, EMA %g,"
      "\n%lld samples, guidance %g, %d %s steps; the classifier names %.1f %% of the real test images\n\n"
      "prediction  loss    its loss    Frechet  recognised  precision   recall  seconds\n",
      Input::tokens, Input::token_dim, Trunk::width, Trunk::depth,
      static_cast<long long>(parameter_count<Model<Space::x>>()), double(cost_of<Model<Space::x>>(1).macs) * 1e-6,
      static_cast<long long>(o.steps), static_cast<long long>(o.batch), o.rate, o.ema,
      static_cast<long long>(o.samples), o.sampler.guidance, o.sampler.steps,
      "Heun", 100 * scorer.accuracy());
  std::fflush(stdout);
  std::vector<Result> results;
  example::on_device(o, [&]<class E>(auto& device) {
    const Setting<std::remove_reference_t<decltype(device)>, E> setting{o, device, source, scorer, labels};
    run_prediction<Space::x>(setting, results);
    run_prediction<Space::eps>(setting, results);
    run_prediction<Space::v>(setting, results);
  });
  std::printf("\n");
  if (results.size() == 9) summarise(results);
  std::printf("%s: a row for each pair, in this order; %s\n", (o.out / "samples.png").c_str(),
              (o.out / "results.csv").c_str());
}

}  // namespace spaces

int main(int argc, char** argv) {
  spaces::Options o;
  CLI::App app("JiT's nine pairs of prediction and loss on Fashion-MNIST, with a network narrower than its tokens");
  example::add_data_option(app, o.data);
  app.add_option("--classifier", o.classifier, "weights of the scoring classifier")->capture_default_str();
  app.add_option("--steps", o.steps, "training steps of each pair")->capture_default_str();
  app.add_option("--batch", o.batch)->capture_default_str();
  app.add_option("--rate", o.rate, "learning rate")->capture_default_str();
  app.add_option("--ema", o.ema, "decay of the averaged weights that generate")->capture_default_str();
  app.add_option("--guidance", o.sampler.guidance)->capture_default_str();
  app.add_option("--guidance-low", o.sampler.guidance_low, "no guidance before this time")->capture_default_str();
  app.add_option("--sampler-steps", o.sampler.steps)->capture_default_str();
  app.add_option("--samples", o.samples, "generated images of each pair, a multiple of 10")->capture_default_str();
  app.add_option("--only", o.only, "pairs to run, e.g. x/v; all by default")->delimiter(',');
  app.add_option("--seed", o.seed)->capture_default_str();
  example::add_device_options(app, o);
  app.add_option("--out", o.out, "folder for results")->capture_default_str();
  return example::run_program(app, argc, argv, [&] { spaces::run(o); });
}
