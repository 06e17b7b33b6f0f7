// The toy experiment of JiT ("Back to Basics: Let Denoising Generative Models Denoise", arXiv 2511.13720, section 3.3 and
// figure 2): a curve in the plane, hidden in D dimensions, and an MLP of 256 units that predicts the clean data, the noise
// or the velocity, always under the v-loss. Only the clean data lies on a manifold, so only its prediction survives D > 256.
#include "common/device.hpp"
#include "common/plot.hpp"
#include "common/program.hpp"
#include "common/progress.hpp"
#include "swiss_roll.hpp"
#include "toy_mlp.hpp"

#include <sfumato/sfumato.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <type_traits>

namespace manifold {

constexpr int hidden = 256;
constexpr Space predictions[] = {Space::x, Space::eps, Space::v};

struct Options : example::DeviceArguments {
  Index steps = 4000, batch = 256, samples = 2048, evaluation = 65536;
  double rate = 1e-3;
  std::uint64_t seed = 1;
  std::filesystem::path out = "out/jit_manifold";
};

/// What is measured of one trained model.
struct Result {
  int dim;
  Space prediction;
  double loss;                    ///< v-loss of the averaged weights on fresh samples
  double distance, distance_p90;  ///< of generated samples, projected, to the curve
  double outside;                 ///< rms per dimension outside of the curve's plane
  double seconds;
  std::vector<Point> generated;  ///< projected
};

/// Where the hidden width cannot carry the noise, eps- and v-prediction break the rule `output_path`: here on purpose.
template <int D, Space P> using Model =
    std::conditional_t<P != Space::x && (D > hidden), ToyMlp<D, hidden, Waive<rule::output_path>>, ToyMlp<D, hidden>>;

/// Mean v-loss of the averaged weights over fresh samples and times, numbered after all that training has seen.
template <int D, class Trainer> double evaluate(Trainer& trainer, const Embedding<D>& embedding, const Options& o) {
  using B = typename Trainer::backend;
  using E = typename Trainer::element;
  constexpr Index batch = 1024;
  Tape<B, E> tape(trainer.workspace());
  const auto& weights = trainer.working(trainer.ema1());
  const RollSource<D> source(embedding, o.seed + 1, o.evaluation);
  const std::vector<int> labels(batch, 0);
  double sum = 0;
  for (Index first = 0; first < o.evaluation; first += batch) {
    // Without gradients nothing is kept: the objective is evaluated as in training, at other random numbers.
    Record<B, E> ctx(tape, weights, nullptr, {o.seed + 1, 0, first});
    const auto x = ops::input_from<Shape<dynamic, D>>(ctx, batch, [&](auto* out) {
      for (Index i = 0; i < batch; ++i) source.load(first + i, false, out + i * D);
    });
    float loss = 0;
    ops::output(ctx, trainer.objective.loss(ctx, trainer.model(), x, labels), std::span(&loss, 1));
    sum += loss;
  }
  return sum / (double(o.evaluation) / double(batch));
}

/// Generates samples by 50 Euler steps and measures how far from the curve they end.
template <int D, class Trainer>
void measure_samples(Trainer& trainer, const Embedding<D>& embedding, const Options& o, Result& result) {
  auto run = trainer.run(trainer.ema1());
  const std::vector<int> labels(static_cast<std::size_t>(o.samples), 0);
  const SamplerOptions sampler{.steps = 50};
  const auto x = sample<Shape<dynamic, D>, Euler>(run, trainer.model(), trainer.objective, labels, o.seed, 0, sampler);
  std::vector<float> host(static_cast<std::size_t>(x.size()));
  ops::output(run, x, std::span(host));
  std::vector<double> distances;
  double outside = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::span<const float> one = std::span(host).subspan(i * D, D);
    result.generated.push_back(embedding.project(one));
    distances.push_back(distance_to_roll(result.generated.back()));
    outside += embedding.outside(one);
  }
  std::sort(distances.begin(), distances.end());
  for (const double d : distances) result.distance += d / double(distances.size());
  result.distance_p90 = distances[distances.size() * 9 / 10];
  result.outside = D > 2 ? std::sqrt(outside / double(labels.size()) / (D - 2)) : 0;
}

TrainOptions train_options(const Options& o) {
  TrainOptions train;
  train.batch = o.batch;
  train.learning_rate = o.rate;
  train.minimum_rate = o.rate / 100;
  train.schedule = Schedule::cosine;
  train.total_steps = o.steps;
  train.ema1 = train.ema2 = 0.995;
  train.seed = o.seed;
  return train;
}

/// Trains and measures one model.
template <class E, int D, Space P, class B> Result run_one(B& device, const Options& o) {
  using Objective = FlowObjective<P, Space::v, UniformTime>;
  const auto start = std::chrono::steady_clock::now();
  Objective objective;
  objective.label_dropout = 0;
  Trainer<Model<D, P>, Shape<dynamic, D>, Objective, B, E> trainer(device, objective, train_options(o), {.beta2 = 0.999});
  const Embedding<D> embedding(o.seed);
  LoopOptions loop;
  loop.steps = o.steps;
  example::train(trainer, RollSource<D>(embedding, o.seed, o.steps * o.batch), loop,
                 text("D = ", D, ", ", name_of(P), "-prediction"));

  Result result{D, P, evaluate<D>(trainer, embedding, o), 0, 0, 0, 0, {}};
  measure_samples<D>(trainer, embedding, o, result);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%5d  %-10s %10.5f %10.3f %9.4f %9.4f %9.4f %8.0f\n", D, name_of(P), result.loss, D * result.loss,
              result.distance, result.distance_p90, result.outside, result.seconds);
  std::fflush(stdout);
  return result;
}

template <class E, int D> void run_dimension(auto& device, const Options& o, std::vector<Result>& results) {
  results.push_back(run_one<E, D, Space::x>(device, o));
  results.push_back(run_one<E, D, Space::eps>(device, o));
  results.push_back(run_one<E, D, Space::v>(device, o));
}

void write_csv(const std::filesystem::path& path, const std::vector<Result>& results) {
  std::string csv = "dim,prediction,v_loss,dim_times_v_loss,distance_mean,distance_p90,outside_rms,seconds\n";
  for (const Result& r : results)
    csv += text(r.dim, ',', name_of(r.prediction), ',', r.loss, ',', r.dim * r.loss, ',', r.distance, ',',
                r.distance_p90, ',', r.outside, ',', r.seconds, '\n');
  example::write_text(path, csv);
}

example::plot::Series series(const std::vector<Point>& points, const char* color, double size) {
  example::plot::Series s{"", {}, {}, color, size};
  for (const Point& p : points) {
    s.x.push_back(p[0]);
    s.y.push_back(p[1]);
  }
  return s;
}

/// A row for each prediction, a column for each dimension: the true curve faint, generated samples over it.
void plot(const std::filesystem::path& path, const std::vector<Result>& results) {
  std::vector<Point> truth;
  for (int i = 0; i < 2000; ++i) truth.push_back(roll(i / 2000.0));
  std::vector<example::plot::Panel> panels;
  for (const Space p : predictions)
    for (const Result& r : results)
      if (r.prediction == p)
        panels.push_back({text(name_of(p), "-prediction, D = ", r.dim),
                          {series(truth, "#d8d8d8", 0.5), series(r.generated, "#c03020", 0.25)},
                          1.7});
  example::plot::scatter_panels(path, "samples projected back to the plane; grey: the data", panels, 4);
}

/// Throws Error("options") and Error("train-options"): before the first of twelve trainings.
void validate(const Options& o) {
  constexpr Index most = Index{1} << 31;  // the shuffled order of that many samples takes 8 bytes each: 16 GiB
  check(o.steps > 0, "options", "--steps must be positive, found ", o.steps);
  check(o.batch > 0, "options", "--batch must be positive, found ", o.batch);
  check(o.steps <= most / o.batch, "options", "--steps times --batch must be at most 2^31 samples, found ", o.steps,
        " times ", o.batch);
  check(std::isfinite(o.rate) && o.rate > 0, "options", "--rate must be finite and positive, found ", o.rate);
  check(o.samples >= 1 && o.samples <= 1'000'000, "options", "--samples must be 1 to 1000000, found ", o.samples);
  check(o.evaluation >= 1024 && o.evaluation % 1024 == 0, "options",
        "--evaluation must be a positive multiple of 1024, found ", o.evaluation);
  train_options(o).validate();
}

void run(const Options& o) {
  validate(o);
  example::make_folder(o.out);
  for (const char* file : {"results.csv", "manifold.png"}) example::require_writable(o.out / file);
  example::plot::require_gnuplot();
  std::printf(
      "%lld steps of %lld, Adam, rate %g falling to %g (cosine), seed %llu.\n"
      "v-loss: averaged weights (EMA 0.995), mean over %lld fresh samples and times; distance: %lld samples by 50 "
      "Euler steps.\n"
      "    D  prediction     v-loss  D x v-loss  to curve     (p90)   outside  seconds\n",
      static_cast<long long>(o.steps), static_cast<long long>(o.batch), o.rate, o.rate / 100,
      static_cast<unsigned long long>(o.seed), static_cast<long long>(o.evaluation),
      static_cast<long long>(o.samples));
  std::fflush(stdout);
  std::vector<Result> results;
  example::on_device(o, [&]<class E>(auto& device) {
    run_dimension<E, 2>(device, o, results);
    run_dimension<E, 8>(device, o, results);
    run_dimension<E, 16>(device, o, results);
    run_dimension<E, 512>(device, o, results);
  });
  write_csv(o.out / "results.csv", results);
  plot(o.out / "manifold.png", results);
  double seconds = 0;
  for (const Result& r : results) seconds += r.seconds;
  std::printf("%.0f seconds in all; %s and %s\n", seconds, (o.out / "results.csv").c_str(),
              (o.out / "manifold.png").c_str());
}

}  // namespace manifold

int main(int argc, char** argv) {
  manifold::Options o;
  CLI::App app("JiT's toy experiment: what an MLP should predict when the data lies on a curve in D dimensions");
  app.add_option("--steps", o.steps, "training steps of each of the twelve models")->capture_default_str();
  app.add_option("--batch", o.batch, "samples per step")->capture_default_str();
  app.add_option("--rate", o.rate, "learning rate at the start")->capture_default_str();
  app.add_option("--samples", o.samples, "generated samples of each model")->capture_default_str();
  app.add_option("--evaluation", o.evaluation, "fresh samples for the loss, a multiple of 1024")->capture_default_str();
  app.add_option("--seed", o.seed)->capture_default_str();
  example::add_device_options(app, o);
  app.add_option("--out", o.out, "folder for results")->capture_default_str();
  return example::run_program(app, argc, argv, [&] { manifold::run(o); });
}
