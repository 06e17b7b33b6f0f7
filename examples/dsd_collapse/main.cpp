// DSD's diagnosis (arXiv 2511.14716, figure 2) on Fashion-MNIST: one small ViT trained to encode, denoise and decode at once, naively, with the gradient stopped on the target, with the clean latent
// predicted too, and by the whole method; beside reconstruction alone. Of each, over some seeds: the effective rank of the latents of unseen images, and how well they are reconstructed.
//   dsd_collapse [--verify]
#include "../common/fashion.hpp"
#include "../common/plot.hpp"
#include "../common/program.hpp"
#include "../common/progress.hpp"

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/train/dsd_trainer.hpp>
#include <sfumato/train/image_source.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace {

using namespace sfumato;
using namespace example;
using B = backend::Cpu;
/// 28 x 28 pixels in patches of 7: 16 tokens, of whose 49 values 16 are kept.
using Model = DSD<ImagePatches<28, 1, 7, 10>, Transformer<48, 3, LayerNorm, GELU, Heads<4>>, 16>;
constexpr Index held_out = 512;

struct Arguments {
  std::string data, out = "out/dsd_collapse";
  Index steps = 1000, every = 100, batch = 32;
  int seeds = 3, threads = 0;
  double rate = 1e-3, weight = 0.1, mask = 0.5, decay = 0.99;
  bool verify = false;
};

/// What one of the designs did, by seed and evaluation.
struct Curve {
  std::string name;
  std::vector<std::vector<metrics::RankSigns>> latents = {}, raw = {};  ///< normed, and as the latent head gives them
  std::vector<std::vector<double>> psnr = {};
};

struct Setting {
  const Arguments& a;
  B& device;
  const ImageSource& train;
  const std::vector<float>& unseen;  ///< (held_out, 1, 28, 28)
};

/// Latents of unseen images, each channel at variance 1 over all of them, as diffusion sees them, and as the latent head gives them; and their reconstructions.
template <class T> void measure(const Setting& s, T& trainer, Curve& into) {
  auto run = trainer.run(trainer.weights());
  const Model& model = trainer.model();
  const auto images = ops::input<Model::ImageShape>(run, s.unseen);
  const auto given = model.latent_head(run, model.features(run, images));
  const auto normed = ops::batch_norm(run, given, 1e-5).normed;
  const auto signs_of = [&](const auto& latents) {
    std::vector<double> values(std::size_t(latents.size()));
    ops::output(run, latents, std::span(values));
    return metrics::rank_signs(metrics::rows_of(std::span<const double>(values), Model::latent_dim));
  };
  into.latents.back().push_back(signs_of(normed));
  into.raw.back().push_back(signs_of(given));
  std::vector<double> made(s.unseen.size());
  ops::output(run, model.decode(run, normed), std::span(made));
  double square = 0;
  for (std::size_t i = 0; i < made.size(); ++i) square += std::pow(made[i] - double(s.unseen[i]), 2) / double(made.size());
  into.psnr.back().push_back(10 * std::log10(4 / square));
}

template <class Design> void run_one(const Setting& s, Curve& curve, double weight, OnlineView view, std::uint64_t seed) {
  using Objective = DSDObjective<Design, B>;
  Objective objective{.distillation_weight = weight, .velocity_weight = 0, .view = view};
  DSDTrainer<Model, Objective, B> trainer(s.device, objective, {.batch = s.a.batch, .learning_rate = s.a.rate, .clip = 1, .ema1 = s.a.decay, .ema2 = s.a.decay, .seed = seed}, {.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0});
  for (auto* of : {&curve.latents, &curve.raw}) of->emplace_back();
  curve.psnr.emplace_back();
  measure(s, trainer, curve);
  for (Index step = s.a.every; step <= s.a.steps; step += s.a.every) {
    train(trainer, s.train, {.steps = step}, text(curve.name, ", seed ", seed));
    measure(s, trainer, curve);
    const auto &signs = curve.latents.back().back(), &raw = curve.raw.back().back();
    std::printf("seed %d, step %4lld: %-24s rank %5.2f (before norming: uncentred %5.2f, RMS %6.3f), PSNR %5.2f dB\n", int(seed), static_cast<long long>(step), curve.name.c_str(), signs.eigenvalues, raw.uncentred,
                raw.rms, curve.psnr.back().back());
    std::fflush(stdout);
  }
}

double mean_of(const std::vector<std::vector<double>>& of, std::size_t at) {
  double sum = 0;
  for (const auto& seed : of) sum += seed[at];
  return sum / double(of.size());
}
/// Effective ranks, seed by seed.
std::vector<std::vector<double>> ranks(const Curve& c) {
  std::vector<std::vector<double>> out;
  for (const auto& seed : c.latents) {
    out.emplace_back();
    for (const auto& signs : seed) out.back().push_back(signs.eigenvalues);
  }
  return out;
}
std::string spread(const std::vector<std::vector<double>>& of, std::size_t at) {
  double low = of[0][at], high = low;
  for (const auto& seed : of) low = std::min(low, seed[at]), high = std::max(high, seed[at]);
  char line[64];
  std::snprintf(line, sizeof line, "%6.2f (%.2f to %.2f)", mean_of(of, at), low, high);
  return line;
}

using Curves = std::array<Curve, 5>;
constexpr std::size_t alone = 0, naive = 1, stopped = 2, clean = 3, whole = 4;

void save(const Arguments& a, const Curves& curves) {  // so far: a run may be stopped
  std::string csv = "design,seed,step,effective_rank,by_singular_values,uncentred_rank,smallest_deviation,raw_rms,psnr\n";
  for (const Curve& c : curves)
    for (std::size_t k = 0; k < c.latents.size(); ++k)
      for (std::size_t at = 0; at < c.latents[k].size(); ++at) {
        const auto &s = c.latents[k][at], &raw = c.raw[k][at];
        csv += text(c.name, ",", k, ",", Index(at) * a.every, ",", s.eigenvalues, ",", s.singular_values, ",", raw.uncentred, ",", raw.smallest_deviation, ",", raw.rms, ",", c.psnr[k][at], "\n");
      }
  write_text(std::filesystem::path(a.out) / "results.csv", csv);
}
void draw(const Arguments& a, const Curves& curves) {
  const std::array<const char*, 5> colours{"#888888", "#c03020", "#e09020", "#40a060", "#3070c0"};
  std::vector<plot::Series> rank, reconstruction;
  for (std::size_t c = 0; c < curves.size(); ++c)
    for (std::size_t k = 0; k < curves[c].latents.size(); ++k) {
      std::vector<double> steps;
      for (std::size_t at = 0; at < curves[c].latents[k].size(); ++at) steps.push_back(double(Index(at) * a.every));
      const std::string name = k == 0 ? curves[c].name : "";
      rank.push_back({name, steps, ranks(curves[c])[k], colours[c]});
      reconstruction.push_back({name, steps, curves[c].psnr[k], colours[c]});
    }
  plot::lines(std::filesystem::path(a.out) / "rank.png", {.title = "Effective rank of the latents of unseen images, of 16 channels", .x_label = "step", .y_label = "effective rank", .log_y = true}, rank);
  plot::lines(std::filesystem::path(a.out) / "psnr.png", {.title = "Reconstruction of unseen images", .x_label = "step", .y_label = "PSNR, dB", .key = "bottom right"}, reconstruction);
}
std::string report_of(const Arguments& a, const Curves& curves) {
  const std::size_t last = std::size_t(a.steps / a.every), early = 1;
  std::string out = text(a.seeds, " seeds, ", a.steps, " steps of ", a.batch, "; latents of ", held_out, " unseen images, mean (lowest to highest); uncentred rank and RMS are of latents before they are normed\n", std::string(24, ' '), "  rank after ", a.every, " steps    rank at the end         uncentred      RMS   PSNR\n");
  for (const Curve& c : curves) {
    char line[160];
    double uncentred = 0, rms = 0;
    for (const auto& seed : c.raw) uncentred += seed[last].uncentred / double(c.raw.size()), rms += seed[last].rms / double(c.raw.size());
    std::snprintf(line, sizeof line, "%-24s  %-22s  %-22s  %9.2f  %7.3f  %5.2f dB\n", c.name.c_str(), spread(ranks(c), early).c_str(), spread(ranks(c), last).c_str(), uncentred, rms, mean_of(c.psnr, last));
    out += line;
  }
  return out;
}
/// The paper's diagnosis, with every seed. Throws Error("diagnosis").
void verify(const Arguments& a, const Curves& curves) {
  const std::size_t last = std::size_t(a.steps / a.every), early = 1;
  for (std::size_t k = 0; k < std::size_t(a.seeds); ++k) {
    const auto rank = [&](std::size_t c, std::size_t at) { return curves[c].latents[k][at].eigenvalues; };
    check(rank(naive, last) < 1.3, "diagnosis", "seed ", k, ": naive training ended at an effective rank of ", rank(naive, last), ", expected a collapse below 1.3");
    check(rank(stopped, early) > 2 * rank(naive, early), "diagnosis", "seed ", k, ": the stop-gradient alone was at ", rank(stopped, early), " after ", a.every, " steps, expected more than twice the naive ", rank(naive, early));
    check(rank(stopped, last) < 3, "diagnosis", "seed ", k, ": the stop-gradient alone ended at ", rank(stopped, last), ", expected a collapse below 3");
    check(rank(clean, last) > rank(stopped, last), "diagnosis", "seed ", k, ": with clean latents predicted the rank ended at ", rank(clean, last), ", expected more than the stop-gradient alone's ", rank(stopped, last));
    check(rank(whole, last) >= 8 && rank(whole, last) > 0.8 * rank(alone, last), "diagnosis", "seed ", k, ": the whole method ended at ", rank(whole, last), ", expected 8 and four fifths of reconstruction alone, ", rank(alone, last));
    check(curves[whole].psnr[k][last] > curves[alone].psnr[k][last] - 2, "diagnosis", "seed ", k, ": the whole method reconstructs at ", curves[whole].psnr[k][last], " dB, expected 2 less at most than ", curves[alone].psnr[k][last]);
  }
  std::printf("as the paper has it, with every seed\n");
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("DSD's collapse and its remedies on Fashion-MNIST");
  app.add_option("--data", a.data, "folder with Fashion-MNIST's four .gz files")->check(folder_named);
  app.add_option("--out", a.out, "folder for table, picture and report")->capture_default_str();
  app.add_option("--steps", a.steps, "of each run")->capture_default_str();
  app.add_option("--every", a.every, "steps between evaluations")->capture_default_str();
  app.add_option("--batch", a.batch)->capture_default_str();
  app.add_option("--learning-rate", a.rate)->capture_default_str();
  app.add_option("--weight", a.weight, "of the diffusion loss beside reconstruction's")->capture_default_str();
  app.add_option("--mask", a.mask, "the whole method: most of the online view that is hidden")->capture_default_str();
  app.add_option("--decay", a.decay, "of the target encoder's average")->capture_default_str();
  app.add_option("--seeds", a.seeds)->capture_default_str();
  app.add_option("--threads", a.threads, "0: all")->capture_default_str();
  app.add_flag("--verify", a.verify, "fail unless the paper's diagnosis is seen");
  return run_program(app, argc, argv, [&] {
    for (const auto& [value, what] : {std::pair{a.steps, "--steps"}, {a.every, "--every"}, {a.batch, "--batch"}, {Index{a.seeds}, "--seeds"}}) check(value > 0, "options", what, " must be positive, found ", value);
    check(a.steps % a.every == 0, "options", "--every must divide --steps, which is ", a.steps, ", found ", a.every);
    make_folder(a.out);
    plot::require_gnuplot();
    const auto start = std::chrono::steady_clock::now();
    B cpu(a.threads);
    const auto folder = fashion_or_bundled(a.data);
    const auto train_images = io::load_fashion_mnist(folder, io::Split::train), test_images = io::load_fashion_mnist(folder, io::Split::test);
    const ImageSource source(train_images);
    auto unseen = scaled_images(test_images);
    unseen.resize(std::min<std::size_t>(unseen.size(), std::size_t(held_out * Model::ImageShape::row)));
    const Setting s{a, cpu, source, unseen};
    Curves curves{Curve{"reconstruction alone"}, Curve{"naive"}, Curve{"stop-gradient"}, Curve{"and clean latents"}, Curve{"the whole method"}};
    const OnlineView same{.mask = 0}, masked{.mask = a.mask};
    for (int i = 0; i < a.seeds; ++i) {
      const auto seed = std::uint64_t(i);
      run_one<SelfDistillation<Space::x, Target::stopped>>(s, curves[alone], 0, same, seed);
      run_one<SelfDistillation<Space::v, Target::flowing, true, Waive<rule::latent_variance>, Waive<rule::rank_differentiation>>>(s, curves[naive], a.weight, same, seed);
      run_one<SelfDistillation<Space::v, Target::stopped, true, Waive<rule::rank_differentiation>>>(s, curves[stopped], a.weight, same, seed);
      run_one<SelfDistillation<Space::x, Target::stopped>>(s, curves[clean], a.weight, same, seed);
      run_one<SelfDistillation<Space::x, Target::averaged>>(s, curves[whole], a.weight, masked, seed);
      save(a, curves);
    }
    draw(a, curves);
    const std::string report = report_of(a, curves);
    write_text(std::filesystem::path(a.out) / "report.txt", report);
    std::printf("%swrote %s after %.0f s\n", report.c_str(), (std::filesystem::path(a.out) / "results.csv, rank.png, psnr.png, report.txt").c_str(), std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    if (a.verify) verify(a, curves);
  });
}
