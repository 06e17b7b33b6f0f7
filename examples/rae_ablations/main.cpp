// RAE's ablations (arXiv 2510.11690, tables 4, 5 and 6) on Fashion-MNIST and an encoder of our own: the schedule shift on and off, the
// decoder trained on noised latents or on clean ones, DiT against DiT-DH at equal compute. Everything but the encoder is trained once for each
// seed, decoders without an adversary; Fréchet distances are between the classifier's features of unguided samples and of the test set.
//   classifier_train --seed 1 --epochs 2 --out out/perceptual.safetensors
//   rae_ablations --encoder out/encoder/encoder.safetensors --statistics out/statistics.safetensors --perceptual-weights out/perceptual.safetensors
#include "../common/fashion.hpp"
#include "../common/fashion_score.hpp"
#include "../common/plot.hpp"
#include "../common/program.hpp"
#include "../common/progress.hpp"
#include "../rae/models.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/train/decoder_objective.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/image_source.hpp>
#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/latent_statistics.hpp>

namespace {

using namespace sfumato;
using example::Fashion;
using B = backend::Cpu;
using Encoder = Fashion::Encoder;
using Decoder = Fashion::Decoder;
using Latent = Fashion::LatentShape;
using Image = Decoder::ImageShape;

/// As many multiply-adds as Fashion's DiT-DH, to a hundredth, without the head. Each starts as it is published: this by Xavier's law.
using PlainDiT = DiT<example::FashionLatents, DiTTrunk<192, 7, 6>>;
static_assert(cost_of<PlainDiT>(1).macs * 100 > cost_of<Fashion::Diffusion>(1).macs * 99 && cost_of<PlainDiT>(1).macs * 99 < cost_of<Fashion::Diffusion>(1).macs * 100);

struct Arguments {
  std::string data, encoder, statistics, out = "out/rae_ablations", classifier = example::bundled_classifier, perceptual;
  Index steps = 1500, decoder_steps = 700, batch = 64, samples = 1000;
  int seeds = 3, threads = 0;
  double rate = 1.5e-3, tau = 0.8;
};

/// What all runs share.
struct Setting {
  const Arguments& a;
  B& device;
  const Weights<Encoder, B>& encoder;
  const Weights<Fashion::Scale, B>& scale;
  const Weights<example::FashionClassifier, B>& perceptual;
  const ImageSource &train, &test;
  example::FashionScorer& scorer;
  const std::vector<int>& labels;
};

TrainOptions options(const Arguments& a, Index steps, std::uint64_t seed) {
  return {.batch = a.batch, .learning_rate = a.rate, .minimum_rate = a.rate / 100, .schedule = Schedule::cosine, .warmup = std::min<Index>(200, steps / 10), .total_steps = steps,
          .clip = 1, .ema1 = 0.99, .ema2 = 0.99, .seed = seed};
}
/// A trained decoder's weights.
std::unique_ptr<Weights<Decoder, B>> train_decoder(const Setting& s, double tau, std::uint64_t seed) {
  using Distance = FeatureDistance<example::FashionClassifier, B, float, 0, 1, 2, 3>;
  using Objective = DecoderObjective<Encoder, B, float, Distance>;
  Trainer<Decoder, Image, Objective, B> trainer(s.device, {.encoder = &s.encoder, .distance = {&s.perceptual}, .tau = tau}, options(s.a, s.a.decoder_steps, seed));
  example::train(trainer, s.train, {.steps = s.a.decoder_steps}, text("decoder, tau ", tau, ", seed ", seed));
  auto weights = std::make_unique<Weights<Decoder, B>>(s.device);
  std::vector<float> host(std::size_t(weights->size()));
  trainer.ema1().download(host);
  weights->values().upload(host);
  return weights;
}

/// Latents (labels, tokens, token_dim) for a decoder, drawn from a model that is trained for it.
template <class Model, class Shift> std::vector<float> train_and_draw(const Setting& s, const std::string& name, std::uint64_t seed) {
  using Flow = FlowObjective<Space::v, Space::v, Shifted<TruncatedLogitNormal<>, Shift>>;
  using Objective = LatentObjective<Encoder, Flow, B, float>;
  Trainer<Model, Image, Objective, B> trainer(s.device, {&s.encoder, &s.scale}, options(s.a, s.a.steps, seed));
  example::train(trainer, s.train, {.steps = s.a.steps}, text(name, ", seed ", seed));
  auto run = trainer.run(trainer.ema1());
  auto scaled = run.frozen(s.scale.values());
  std::vector<float> latents(s.labels.size() * std::size_t(Latent::row));
  example::CountLine line("drew", Index(s.labels.size()));
  for (std::size_t first = 0; first < s.labels.size(); first += 200) {
    const auto part = std::span(s.labels).subspan(first, std::min<std::size_t>(200, s.labels.size() - first));
    const auto z = sample<Latent, Euler, ShiftedGrid<Shift>>(run, trainer.model(), Flow{}, part, seed, Index(first), {.steps = 49, .guidance = 1});
    ops::output(run, s.scale.model().denormalise(scaled, z), std::span(latents).subspan(first * std::size_t(Latent::row), std::size_t(z.size())));
    line(Index(first + part.size()));
  }
  return latents;
}

/// What a decoder makes of latents: (n, 1, 28, 28).
std::vector<float> decode(const Setting& s, const Weights<Decoder, B>& decoder, std::span<const float> latents) {
  Workspace<B> workspace(s.device);
  Run<B> run(workspace, decoder.values());
  const std::size_t n = latents.size() / std::size_t(Latent::row);
  std::vector<float> images(n * std::size_t(Image::row));
  for (std::size_t first = 0; first < n; first += 200) {
    const std::size_t count = std::min<std::size_t>(200, n - first);
    const auto z = ops::input<Latent>(run, latents.subspan(first * std::size_t(Latent::row), count * std::size_t(Latent::row)));
    ops::output(run, decoder.model().decode<Range::signed_unit>(run, z), std::span(images).subspan(first * std::size_t(Image::row), count * std::size_t(Image::row)));
  }
  return images;
}
/// Latents of the first test images.
std::vector<float> encode(const Setting& s, std::size_t n, std::vector<int>& labels) {
  Workspace<B> workspace(s.device);
  Run<B> run(workspace, s.encoder.values());
  std::vector<float> latents(n * std::size_t(Latent::row));
  labels.resize(n);
  for (std::size_t first = 0; first < n; first += 200) {
    const std::size_t count = std::min<std::size_t>(200, n - first);
    const auto images = ops::input_from<Image>(run, Index(count), [&](float* out) {
      for (std::size_t b = 0; b < count; ++b) labels[first + b] = s.test.load(Index(first + b), false, out + b * std::size_t(Image::row));
    });
    ops::output(run, frozen_latents(run, s.encoder, images), std::span(latents).subspan(first * std::size_t(Latent::row), count * std::size_t(Latent::row)));
  }
  return latents;
}

/// One figure for each seed.
struct Measured {
  std::string name;
  std::vector<double> frechet = {}, recognised = {};
  std::vector<float> first = {};  ///< images of the first seed

  void add(const example::Score& score, const std::vector<float>& images) {
    frechet.push_back(score.frechet);
    recognised.push_back(score.recognised);
    if (first.empty()) first.assign(images.begin(), images.begin() + std::min<std::ptrdiff_t>(std::ptrdiff_t(images.size()), 20 * Image::row));
  }
};
double mean(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }
std::string spread(const std::vector<double>& v) {
  const auto [low, high] = std::minmax_element(v.begin(), v.end());
  char line[64];
  std::snprintf(line, sizeof line, "%7.3f  (%.3f to %.3f)", mean(v), *low, *high);
  return line;
}
/// What the paper says of two of them, and what was found: by how much the better one is lower, seed by seed.
std::string compare(const std::string& claim, const Measured& better, const Measured& worse) {
  std::vector<double> lower;
  for (std::size_t i = 0; i < better.frechet.size(); ++i) lower.push_back(worse.frechet[i] - better.frechet[i]);
  const auto holds = std::count_if(lower.begin(), lower.end(), [](double d) { return d > 0; }), against = std::count_if(lower.begin(), lower.end(), [](double d) { return d < 0; });
  const auto n = std::ptrdiff_t(lower.size());
  const char* verdict = holds == n ? "as published, with every seed" : against == n ? "the other way round, with every seed" : "not told apart by these seeds";
  return text(claim, ": ", better.name, " against ", worse.name, ", lower by ", spread(lower), ": ", verdict, "\n");
}

using All = std::vector<const Measured*>;

/// The figures and first images so far.
void save(const std::filesystem::path& folder, const All& all) {
  std::string csv = "model,seed,frechet,recognised\n";
  std::vector<float> rows;
  for (const Measured* m : all) {
    for (std::size_t k = 0; k < m->frechet.size(); ++k) csv += text("\"", m->name, "\",", k, ",", m->frechet[k], ",", m->recognised[k], "\n");
    rows.insert(rows.end(), m->first.begin(), m->first.end());
  }
  example::write_text(folder / "results.csv", csv);
  io::write_png(folder / "samples.png", example::sample_grid(rows, 28, 20));
}
std::string table(const All& all) {
  std::string lines;
  for (const Measured* m : all) lines += text("  ", m->name, std::string(32 - std::min<std::size_t>(31, m->name.size()), ' '), spread(m->frechet), "\n");
  return lines;
}
void plot(const Arguments& a, const All& all) {
  std::vector<std::string> names;
  std::vector<example::plot::Bars> bars;
  for (int i = 0; i < a.seeds; ++i) bars.push_back({text("seed ", i), {}});
  for (const Measured* m : all) {
    names.push_back(m->name);
    for (std::size_t i = 0; i < bars.size(); ++i) bars[i].values.push_back(m->frechet[i]);
  }
  example::plot::bars(std::filesystem::path(a.out) / "frechet.png", "RAE's ablations on Fashion-MNIST: Frechet distance", names, bars);
}

void run(const Arguments& a) {
  const bool same = std::filesystem::exists(a.perceptual) && std::filesystem::equivalent(a.perceptual, a.classifier);
  check(!same, "options", "--perceptual-weights and --classifier are the same file, ", a.classifier, ": decoders would be trained by what scores them");
  for (const auto& [value, what] : {std::pair{a.steps, "--steps"}, {a.decoder_steps, "--decoder-steps"}, {a.batch, "--batch"}, {Index{a.seeds}, "--seeds"}})
    check(value > 0, "options", what, " must be positive, found ", value);
  check(a.samples >= example::FashionScorer::least, "options", "--samples must be at least ", example::FashionScorer::least, ", found ", a.samples);
  check(std::isfinite(a.rate) && a.rate >= 0 && std::isfinite(a.tau) && a.tau >= 0, "options", "--learning-rate and --tau must be finite and not negative, found ", a.rate, " and ", a.tau);
  const auto labels = balanced_labels(a.samples, 10);
  example::make_folder(a.out);
  example::plot::require_gnuplot();
  B cpu(a.threads);
  Weights<Encoder, B> encoder(cpu);
  Weights<Fashion::Scale, B> scale(cpu, 0);
  Weights<example::FashionClassifier, B> perceptual(cpu);
  load_weights(a.encoder, encoder);
  read_statistics(a.statistics, scale);
  load_weights(a.perceptual, perceptual);
  const std::string folder = example::fashion_or_bundled(a.data);
  const auto train_images = io::load_fashion_mnist(folder, io::Split::train), test_images = io::load_fashion_mnist(folder, io::Split::test);
  const ImageSource train_source(train_images), test_source(test_images);
  train_source.require_shape<Image>();
  example::FashionScorer scorer(cpu, test_images, a.classifier);
  const Setting s{a, cpu, encoder, scale, perceptual, train_source, test_source, scorer, labels};

  Measured base{"DiT-DH, shifted"}, unshifted{"DiT-DH, not shifted"}, plain{"DiT, shifted"}, clean{"DiT-DH, shifted, clean decoder"}, noised_reconstruction{"reconstructions"}, clean_reconstruction{"reconstructions, clean decoder"};
  const All all{&base, &unshifted, &plain, &clean, &noised_reconstruction, &clean_reconstruction};
  for (int i = 0; i < a.seeds; ++i) {
    const auto seed = std::uint64_t(i);
    const auto noised_decoder = train_decoder(s, a.tau, seed), clean_decoder = train_decoder(s, 0, seed);
    const auto score = [&](Measured& into, const Weights<Decoder, B>& decoder, const std::vector<float>& latents, const std::vector<int>& of) {
      const auto images = decode(s, decoder, latents);
      into.add(scorer.score(images, of), images);
      std::printf("seed %d: %-32s Frechet distance %7.3f, %.1f %% recognised\n", i, into.name.c_str(), into.frechet.back(), 100 * into.recognised.back());
      std::fflush(stdout);
    };
    std::vector<int> real_labels;
    const auto real = encode(s, std::min<std::size_t>(labels.size(), std::size_t(test_source.size())), real_labels);
    score(noised_reconstruction, *noised_decoder, real, real_labels);
    score(clean_reconstruction, *clean_decoder, real, real_labels);
    const auto drawn = train_and_draw<Fashion::Diffusion, Fashion::Shift>(s, base.name, seed);
    score(base, *noised_decoder, drawn, labels);
    score(clean, *clean_decoder, drawn, labels);
    score(unshifted, *noised_decoder, train_and_draw<Fashion::Diffusion, ShiftBy<std::ratio<1>>>(s, unshifted.name, seed), labels);
    score(plain, *noised_decoder, train_and_draw<PlainDiT, Fashion::Shift>(s, plain.name, seed), labels);

    save(a.out, all);  // a run may be stopped
  }
  const std::string report =
      text(a.seeds, " seeds, ", a.steps, " steps of ", a.batch, " (decoders: ", a.decoder_steps, ", by the features of ", a.perceptual, "), ", a.samples, " unguided samples scored by ", a.classifier,
           "; Frechet distance: mean (lowest to highest)\n", table(all),
           compare(text("schedule shift of ", Fashion::Shift::alpha, " (base ", Fashion::shift_base, "), in training and sampling"), base, unshifted), compare("wide head at equal compute", base, plain),
           compare("decoder trained on noised latents, samples", base, clean), compare("decoder trained on clean latents, reconstructions", clean_reconstruction, noised_reconstruction));
  plot(a, all);
  example::write_text(std::filesystem::path(a.out) / "report.txt", report);
  std::printf("%swrote %s\n", report.c_str(), (std::filesystem::path(a.out) / "results.csv, samples.png, frechet.png, report.txt").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("RAE's ablations on Fashion-MNIST: schedule shift, noised decoder, wide head");
  app.add_option("--encoder", a.encoder, "safetensors of pretrain_encoder")->required();
  app.add_option("--statistics", a.statistics, "safetensors of rae encode-stats")->required();
  app.add_option("--data", a.data, "folder with Fashion-MNIST's four .gz files")->check(example::folder_named);
  app.add_option("--classifier", a.classifier, "the classifier that scores samples")->capture_default_str();
  app.add_option("--perceptual-weights", a.perceptual, "the classifier by whose features decoders are trained: another one, of classifier_train")->required();
  app.add_option("--out", a.out, "folder for table, pictures and report")->capture_default_str();
  app.add_option("--steps", a.steps, "of each diffusion model")->capture_default_str();
  app.add_option("--decoder-steps", a.decoder_steps)->capture_default_str();
  app.add_option("--batch", a.batch)->capture_default_str();
  app.add_option("--learning-rate", a.rate)->capture_default_str();
  app.add_option("--tau", a.tau, "noise that the noised decoder is trained with")->capture_default_str();
  app.add_option("--samples", a.samples, "drawn from each model; equally many of each class")->capture_default_str();
  app.add_option("--seeds", a.seeds)->capture_default_str();
  app.add_option("--threads", a.threads, "0: all")->capture_default_str();
  return example::run_program(app, argc, argv, [&] { run(a); });
}
