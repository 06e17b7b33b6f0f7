// REG's speed-up (arXiv 2507.01467, table 1 and figure 1) on Fashion-MNIST: SiT alone, with its tokens aligned to a frozen encoder's (REPA), and with
// that encoder's class token in its sequence too (REG): the same trunk, latents, steps, data order, times and labels (noise is drawn by a
// sample's values, of which a class token makes more). At some steps images are drawn without
// guidance; their Fréchet distance to the test set, and how many are recognised as their label, by steps, over some seeds.
//   reg_speedup --vae out/vae/checkpoint.safetensors --latents out/latents.safetensors
#include "../common/fashion.hpp"
#include "../common/fashion_score.hpp"
#include "../common/plot.hpp"
#include "../common/program.hpp"
#include "../common/progress.hpp"
#include "../reg/models.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/train/latent_source.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

namespace {

using namespace sfumato;
using namespace example;
using B = backend::Cpu;
using Objective = Fashion::Objective;

struct Arguments {
  std::string data, vae, latents, out = "out/reg_speedup", classifier = bundled_classifier;
  Index steps = 1200, every = 150, batch = 64, samples = 1000;
  int seeds = 3, threads = 0, solver_steps = 25;
  double rate = 1e-3, class_scale = 2, class_weight = 0.2, alignment_weight = 8;  // the paper's: 1e-4, 1, 0.03, 0.5; how the last three were found: docs/results.md
  Index warmup() const { return std::min<Index>(100, steps / 10); }
  /// Of the average of weights: it goes back over a fortieth of the training, as the published one (0.9999) does over 400,000 steps.
  double decay() const { return std::max(0.0, 1 - 40 / double(steps)); }
};

constexpr double beta2 = 0.999;  // as published; the library's default, 0.95, slows REG down: docs/results.md

/// Samples of each model in the picture, which has a row for each.
int shown_samples(const Arguments& a) { return int(std::min<Index>(a.samples, 20)); }

struct Setting {
  const Arguments& a;
  B& device;
  const Weights<Fashion::VAE, B>& vae;
  const io::SafetensorsFile& file;
  Objective objective;
  FashionScorer& scorer;
  const std::vector<int>& labels;
};

/// What one of the three did, by seed and evaluation.
struct Curve {
  std::string name;
  std::vector<std::vector<double>> frechet = {}, recognised = {};
  double step_seconds = 0, pass_seconds = 0;  ///< the least over all seeds: of a training step, of an inference pass on a batch

  /// Over the seeds, by evaluation.
  std::vector<double> means() const {
    std::vector<double> sums(frechet[0].size());
    for (const auto& seed : frechet)
      for (std::size_t at = 0; at < sums.size(); ++at) sums[at] += seed[at] / double(frechet.size());
    return sums;
  }
};

template <class F> double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
void keep_least(double& least, double found) { least = least == 0 ? found : std::min(least, found); }

/// Images that the averaged weights draw, (n, 1, 28, 28) in [-1, 1].
template <class T> std::vector<float> draw(const Setting& s, T& trainer, std::uint64_t seed) {
  using Model = std::remove_cvref_t<decltype(trainer.model())>;
  auto run = trainer.run(trainer.ema1());
  auto painted = run.frozen(s.vae.values());
  std::vector<float> images(s.labels.size() * 784);
  for (std::size_t first = 0; first < s.labels.size(); first += 100) {
    const auto part = std::span(s.labels).subspan(first, std::min<std::size_t>(100, s.labels.size() - first));
    const auto z = sample<typename Model::ImageShape, Euler>(run, trainer.model(), s.objective, part, seed, Index(first), {.steps = s.a.solver_steps});
    const auto x = without_border<Fashion>(painted, s.vae.model().decode(painted, ops::scale(painted, 1 / s.objective.latent_scale, latent_part<Model>(painted, z))));
    ops::output(painted, x, std::span(images).subspan(first * 784, part.size() * 784));
  }
  return images;
}

template <class Model> void run_one(const Setting& s, Curve& curve, std::uint64_t seed, std::vector<std::vector<float>>& last) {
  const Arguments& a = s.a;
  const LatentSource<Model, Objective> source(s.file);
  const TrainOptions options{.batch = a.batch, .learning_rate = a.rate, .warmup = a.warmup(), .clip = 1, .ema1 = a.decay(), .ema2 = a.decay(), .seed = seed};
  Trainer<Model, Objective::Sample<Model>, Objective, B> trainer(s.device, s.objective, options, {.beta2 = beta2, .weight_decay = 0});
  curve.frechet.emplace_back();
  curve.recognised.emplace_back();
  std::vector<float> images;
  for (Index step = a.every; step <= a.steps; step += a.every) {
    const double seconds = seconds_of([&] { train(trainer, source, {.steps = step}, text(curve.name, ", seed ", seed)); });
    keep_least(curve.step_seconds, seconds / double(a.every));
    images = draw(s, trainer, seed);
    const Score score = s.scorer.score(images, s.labels);
    curve.frechet.back().push_back(score.frechet);
    curve.recognised.back().push_back(score.recognised);
    std::printf("seed %d, step %4lld: %-5s Frechet distance %7.3f, %.1f %% recognised\n", int(seed), static_cast<long long>(step), curve.name.c_str(), score.frechet, 100 * score.recognised);
    std::fflush(stdout);
  }
  std::vector<float>& shown = last.emplace_back();  // of all classes: labels come in order
  for (std::size_t i = 0, count = std::size_t(shown_samples(a)); i < count; ++i) {
    const auto image = std::span(images).subspan(i * s.labels.size() / count * 784, 784);
    shown.insert(shown.end(), image.begin(), image.end());
  }
  auto run = trainer.run(trainer.ema1());
  const std::vector<double> times(std::size_t(a.batch), 0.5);
  const std::vector<int> some(std::size_t(a.batch), 0);
  const auto z = ops::normal<typename Model::ImageShape>(run, a.batch, Random{1, Stream::user, 0});
  for (int i = 0; i < 20; ++i) keep_least(curve.pass_seconds, seconds_of([&] { trainer.model()(run, z, times, some); }));
}

/// The steps after which a curve is at `level` or below for good, by straight lines between evaluations; never less than the first one's steps; 0 where it does not stay there.
constexpr double steps_to(std::span<const double> curve, std::span<const Index> steps, double level) {
  std::size_t at = curve.size();
  while (at > 0 && curve[at - 1] <= level) --at;
  if (at == curve.size()) return 0;
  if (at == 0) return double(steps[0]);
  return std::lerp(double(steps[at - 1]), double(steps[at]), (curve[at - 1] - level) / (curve[at - 1] - curve[at]));
}
constexpr std::array<Index, 4> at_steps{10, 20, 30, 40};
static_assert(steps_to(std::array{8., 4., 2., 1.}, at_steps, 3) == 25);
static_assert(steps_to(std::array{8., 4., 2., 1.}, at_steps, 2) == 30);
static_assert(steps_to(std::array{8., 2., 4., 0.}, at_steps, 3) == 32.5, "the last time that it gets there counts");
static_assert(steps_to(std::array{8., 4., 2., 1.}, at_steps, 9) == 10);
static_assert(steps_to(std::array{8., 4., 2., 3.}, at_steps, 2) == 0, "it does not stay");

std::string report_of(const Arguments& a, const std::array<Curve, 3>& curves, const std::vector<Index>& steps) {
  char line[256];
  std::string out = text(a.seeds, " seeds, batches of ", a.batch, ", ", a.samples, " unguided samples of ", a.solver_steps, " Euler steps; constant learning rate ", a.rate, " after ", a.warmup(), " steps, Adam's beta2 ", beta2, ", gradients clipped at 1, averages' decay ", a.decay(), "; class token's scale ", a.class_scale, ", beta ", a.class_weight, ", lambda ", a.alignment_weight, "; Frechet distance: mean (lowest to highest), and share recognised\n   step");
  for (const Curve& c : curves) out += text("   ", c.name, std::string(30 - c.name.size(), ' '));
  for (std::size_t at = 0; at < steps.size(); ++at) {
    std::snprintf(line, sizeof line, "\n%7lld", static_cast<long long>(steps[at]));
    out += line;
    for (const Curve& c : curves) {
      double low = c.frechet[0][at], high = low, recognised = 0;
      for (std::size_t k = 0; k < c.frechet.size(); ++k) low = std::min(low, c.frechet[k][at]), high = std::max(high, c.frechet[k][at]), recognised += c.recognised[k][at] / double(c.frechet.size());
      std::snprintf(line, sizeof line, "   %7.3f (%.3f to %.3f) %5.1f %%", c.means()[at], low, high, 100 * recognised);
      out += line;
    }
  }
  out += "\n";
  // When the others are where SiT ends: seed by seed, and by the means.
  for (std::size_t other = 1; other < curves.size(); ++other) {
    out += text(curves[other].name, " is where ", curves[0].name, " ends, at a distance of");
    double sum = 0;
    bool always = true;
    for (std::size_t k = 0; k < curves[0].frechet.size(); ++k) {
      const double level = curves[0].frechet[k].back(), found = steps_to(curves[other].frechet[k], steps, level);
      always = always && found > 0;
      sum += found;
      std::snprintf(line, sizeof line, found > 0 ? "%s %.3f, after %.0f steps" : "%s %.3f, never", k > 0 ? ";" : "", level, found);
      out += line;
    }
    const double share = sum / double(curves[0].frechet.size()) / double(a.steps);
    std::snprintf(line, sizeof line, always ? ": in %.2f of the steps on average" : ": not with every seed", share);
    out += line;
    const double level = curves[0].means().back(), found = steps_to(curves[other].means(), steps, level);
    std::snprintf(line, sizeof line, found > 0 ? "; of the curves of means, at %.3f, in %.2f\n" : "; of the curves of means, at %.3f, never\n", level, found / double(a.steps));
    out += line;
  }
  const auto ordered = [&](std::size_t better, std::size_t worse) {
    std::size_t holds = 0;
    for (std::size_t k = 0; k < curves[better].frechet.size(); ++k) holds += curves[better].frechet[k].back() < curves[worse].frechet[k].back();
    const char* verdict = holds == curves[better].frechet.size() ? "as published, with every seed" : holds == 0 ? "the other way round, with every seed" : "not told apart by these seeds";
    out += text("at the end ", curves[better].name, " below ", curves[worse].name, ": ", verdict, "\n");
  };
  ordered(2, 1);
  ordered(2, 0);
  ordered(1, 0);
  std::snprintf(line, sizeof line, "the class token's overhead: an inference pass of %lld samples takes %.2f ms with it and %.2f ms without (%+.1f %%); a training step %.1f, %.1f (REPA) and %.1f ms (SiT)\n", static_cast<long long>(a.batch),
                1e3 * curves[2].pass_seconds, 1e3 * curves[0].pass_seconds, 100 * (curves[2].pass_seconds / curves[0].pass_seconds - 1), 1e3 * curves[2].step_seconds, 1e3 * curves[1].step_seconds, 1e3 * curves[0].step_seconds);
  return out + line;
}

void run(const Arguments& a) {
  for (const auto& [value, what] : {std::pair{a.steps, "--steps"}, {a.every, "--every"}, {a.batch, "--batch"}, {Index{a.seeds}, "--seeds"}, {Index{a.solver_steps}, "--solver-steps"}})
    check(value > 0, "options", what, " must be positive, found ", value);
  check(a.steps % a.every == 0, "options", "--every must divide --steps, which is ", a.steps, ", found ", a.every);
  check(a.samples >= FashionScorer::least, "options", "--samples must be at least ", FashionScorer::least, ", found ", a.samples);
  const auto labels = balanced_labels(a.samples, 10);
  make_folder(a.out);
  plot::require_gnuplot();
  B cpu(a.threads);
  Weights<Fashion::VAE, B> vae(cpu);
  load_vae(a.vae, vae);
  const io::SafetensorsFile file(a.latents);
  Objective objective{.class_scale = a.class_scale, .class_weight = a.class_weight, .alignment_weight = a.alignment_weight};
  read_latents(file, objective);
  require_latents(file.metadata(), a.latents, vae, "--vae");
  const auto test_images = io::load_fashion_mnist(fashion_or_bundled(a.data), io::Split::test);
  FashionScorer scorer(cpu, test_images, a.classifier);
  const Setting s{a, cpu, vae, file, objective, scorer, labels};

  std::vector<Index> steps;
  for (Index step = a.every; step <= a.steps; step += a.every) steps.push_back(step);
  std::array<Curve, 3> curves{Curve{"SiT"}, Curve{"REPA"}, Curve{"REG"}};
  std::vector<std::vector<float>> first;  // images of the first seed
  for (int i = 0; i < a.seeds; ++i) {
    std::vector<std::vector<float>> last;
    run_one<FashionSiT>(s, curves[0], std::uint64_t(i), last);
    run_one<FashionREPA>(s, curves[1], std::uint64_t(i), last);
    run_one<FashionREG>(s, curves[2], std::uint64_t(i), last);
    if (first.empty()) first = last;
    std::string csv = "model,seed,step,frechet,recognised\n";  // so far: a run may be stopped
    for (const Curve& c : curves)
      for (std::size_t k = 0; k < c.frechet.size(); ++k)
        for (std::size_t at = 0; at < steps.size(); ++at) csv += text(c.name, ",", k, ",", steps[at], ",", c.frechet[k][at], ",", c.recognised[k][at], "\n");
    write_text(std::filesystem::path(a.out) / "results.csv", csv);
  }
  std::vector<float> rows;
  for (const auto& images : first) rows.insert(rows.end(), images.begin(), images.end());
  io::write_png(std::filesystem::path(a.out) / "samples.png", sample_grid(rows, 28, shown_samples(a)));
  const std::string report = report_of(a, curves, steps);
  std::vector<plot::Series> series;
  const std::array<const char*, 3> colours{"#888888", "#3070c0", "#c03020"};
  for (std::size_t c = 0; c < curves.size(); ++c)
    for (std::size_t k = 0; k < curves[c].frechet.size(); ++k)
      series.push_back({k == 0 ? curves[c].name : std::string(), std::vector<double>(steps.begin(), steps.end()), curves[c].frechet[k], colours[c]});
  plot::lines(std::filesystem::path(a.out) / "frechet.png", {.title = "Frechet distance by steps: SiT, REPA and REG on Fashion-MNIST", .x_label = "step", .y_label = "Frechet distance", .log_y = true}, series);
  write_text(std::filesystem::path(a.out) / "report.txt", report);
  std::printf("%swrote %s\n", report.c_str(), (std::filesystem::path(a.out) / "results.csv, samples.png, frechet.png, report.txt").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("SiT, REPA and REG on Fashion-MNIST's latents at the same steps and seeds");
  app.add_option("--vae", a.vae, "safetensors of reg train-vae")->required();
  app.add_option("--latents", a.latents, "safetensors of reg prepare")->required();
  app.add_option("--data", a.data, "folder with Fashion-MNIST's four .gz files")->check(folder_named);
  app.add_option("--classifier", a.classifier, "the classifier that scores samples")->capture_default_str();
  app.add_option("--out", a.out, "folder for table, pictures and report")->capture_default_str();
  app.add_option("--steps", a.steps, "of each model")->capture_default_str();
  app.add_option("--every", a.every, "steps between evaluations")->capture_default_str();
  app.add_option("--batch", a.batch)->capture_default_str();
  app.add_option("--learning-rate", a.rate)->capture_default_str();
  app.add_option("--class-scale", a.class_scale, "of the teacher's class token: the larger, the more noise it takes to hide it, and the more its velocity weighs")->capture_default_str();
  app.add_option("--class-weight", a.class_weight, "of the class token's velocity (beta)")->capture_default_str();
  app.add_option("--alignment-weight", a.alignment_weight, "lambda")->capture_default_str();
  app.add_option("--samples", a.samples, "drawn at each evaluation; equally many of each class")->capture_default_str();
  app.add_option("--solver-steps", a.solver_steps)->capture_default_str();
  app.add_option("--seeds", a.seeds)->capture_default_str();
  app.add_option("--threads", a.threads, "0: all")->capture_default_str();
  return run_program(app, argc, argv, [&] { run(a); });
}
