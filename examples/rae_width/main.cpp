// The one-image experiment of RAE (arXiv 2510.11690, section 5, figure 3 and appendix F) at reduced size: a velocity model learns a single
// image's tokens of n = 128 values. However long or deep, a plain DiT of width d < n cannot get below 1 - d/n; a wide head lifts that.
#include "../common/fashion.hpp"
#include "../common/fashion_encoder.hpp"
#include "../common/plot.hpp"
#include "../common/program.hpp"
#include "../common/progress.hpp"

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/design/theorem.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/samples.hpp>

namespace {

using namespace sfumato;

using Encoder = example::FashionEncoder;
constexpr int n = Encoder::token_dim;
using Input = LatentTokens<Encoder::grid, n, 1>;
using Latent = Shape<dynamic, Encoder::tokens, n>;
using Objective = FlowObjective<Space::v, Space::v, UniformBetween<std::ratio<1, 1000>>>;

template <int Width, int Depth> using Trunk = DiTTrunk<Width, Depth, 4>;
template <int Width, int Depth> using Plain = DiT<Input, Trunk<Width, Depth>, Head<Linear>, Waive<rule::output_path>>;  // to show what the rule forbids
// Its trunk starts as the plain one's, by Xavier's law, not as the published DiT-DH: the head is to be the only difference.
template <int Width, int Depth, int HeadWidth> using WithHead = DiTDH<Input, Trunk<Width, Depth>, DDT<HeadWidth, 2, 4>>;

struct Arguments {
  std::string data, encoder, out = "out/rae_width";
  Index steps = 900, batch = 32, evaluation = 128;
  int seeds = 3, threads = 0;
  double rate = 1e-3;
  bool verify = false;
};

struct Row {
  std::string name;
  int width, depth, head;  ///< head: 0 for none
  double floor, loss = 0, lowest = 0, highest = 0;
};

/// The loss of trained weights over many times and noises, which none of the training saw.
template <class T> double evaluate(T& trainer, const std::vector<float>& image, Index batches, Index batch) {
  double sum = 0;
  std::vector<float> repeated;
  for (Index b = 0; b < batch; ++b) repeated.insert(repeated.end(), image.begin(), image.end());
  const std::vector<int> labels(std::size_t(batch), 0);
  auto objective = trainer.objective;
  objective.label_dropout = 0;
  Tape<backend::Cpu> tape(trainer.workspace());
  for (Index i = 0; i < batches; ++i) {
    Record<backend::Cpu> ctx(tape, trainer.weights(), nullptr, {.seed = 0x5eed, .step = std::uint32_t(i)});
    double value = 0;
    ops::output(ctx, objective.loss(ctx, trainer.model(), ops::input<Latent>(ctx, repeated), labels), std::span(&value, 1));
    sum += value;
  }
  return sum / double(batches);
}

template <class Model> Row train(backend::Cpu& cpu, const Arguments& a, const std::vector<float>& image, int depth, int head) {
  Row row{text(head ? "DiT-DH" : "DiT", ", width ", Model::width, ", ", depth, " blocks", head ? text(", head ", head) : std::string()), Model::width, depth, head,
          one_image_floor<n>(Model::path_width)};
  const std::vector<int> label{0};
  for (int seed = 0; seed < a.seeds; ++seed) {
    Objective objective;
    objective.label_dropout = 0;
    Trainer<Model, Latent, Objective, backend::Cpu> trainer(cpu, objective, {.batch = a.batch, .learning_rate = a.rate, .seed = std::uint64_t(seed)});
    example::train(trainer, Samples<Latent>(image, label), {.steps = a.steps}, text(row.name, ", seed ", seed));
    const double loss = evaluate(trainer, image, a.evaluation, a.batch);
    row.loss += loss / a.seeds;
    row.lowest = seed == 0 ? loss : std::min(row.lowest, loss);
    row.highest = seed == 0 ? loss : std::max(row.highest, loss);
  }
  std::printf("%-36s %8.4f %8.4f   %.4f to %.4f\n", row.name.c_str(), row.floor, row.loss, row.lowest, row.highest);
  std::fflush(stdout);
  return row;
}

void run(const Arguments& a) {
  check(a.steps > 0 && a.batch > 0 && a.evaluation > 0 && a.seeds > 0, "options", "--steps, --batch, --evaluation and --seeds must be positive, found ", a.steps, ", ", a.batch, ", ",
        a.evaluation, " and ", a.seeds);
  example::make_folder(a.out);
  example::plot::require_gnuplot();
  backend::Cpu cpu(a.threads);
  const auto dataset = io::load_fashion_mnist(example::fashion_or_bundled(a.data), io::Split::test);
  const ImageSource source(dataset);
  source.require_shape<Encoder::ImageShape>();
  // One image's tokens; an encoder that was never trained will do, for the theorem asks nothing of the image.
  std::vector<float> pixels(static_cast<std::size_t>(Encoder::ImageShape::row)), image(static_cast<std::size_t>(Latent::row));
  {
    Workspace<backend::Cpu> workspace(cpu);
    Weights<Encoder, backend::Cpu> encoder(cpu, 0);
    if (!a.encoder.empty()) load_weights(a.encoder, encoder);
    Run<backend::Cpu> run(workspace, encoder.values());
    source.load(0, false, pixels.data());
    ops::output(run, frozen_latents(run, encoder, ops::input<Encoder::ImageShape>(run, pixels)), std::span(image));
  }
  std::printf("one image, %d tokens of n = %d; %lld steps of %lld, AdamW, rate %g, %d seeds\n%-36s %8s %8s   %s\n", Encoder::tokens, n, static_cast<long long>(a.steps),
              static_cast<long long>(a.batch), a.rate, a.seeds, "", "floor", "loss", "over seeds");
  std::vector<Row> rows;
  rows.push_back(train<Plain<64, 4>>(cpu, a, image, 4, 0));
  rows.push_back(train<Plain<96, 4>>(cpu, a, image, 4, 0));
  rows.push_back(train<Plain<128, 4>>(cpu, a, image, 4, 0));
  rows.push_back(train<Plain<160, 4>>(cpu, a, image, 4, 0));
  rows.push_back(train<Plain<192, 4>>(cpu, a, image, 4, 0));
  rows.push_back(train<Plain<64, 2>>(cpu, a, image, 2, 0));
  rows.push_back(train<Plain<64, 8>>(cpu, a, image, 8, 0));
  rows.push_back(train<WithHead<64, 4, 128>>(cpu, a, image, 4, 128));
  rows.push_back(train<WithHead<64, 4, 192>>(cpu, a, image, 4, 192));

  using example::plot::Series;
  Series floor{"floor 1 - d/n", {}, {}, "#808080"}, plain{"DiT, 4 blocks", {}, {}, "#203080"}, deep{"DiT, width 64: 2 to 8 blocks", {}, {}, "#40a060"}, head{"width 64 with a head of that width", {}, {}, "#c04040"};
  for (int width = 48; width <= 200; ++width) floor.x.push_back(width), floor.y.push_back(one_image_floor<n>(width));
  std::string csv = "model,width,depth,head,floor,loss,lowest,highest\n";
  for (const Row& r : rows) {
    if (r.head) head.x.push_back(r.head), head.y.push_back(r.loss);
    else if (r.depth == 4) plain.x.push_back(r.width), plain.y.push_back(r.loss);
    if (!r.head && r.width == 64) deep.x.push_back(r.width), deep.y.push_back(r.loss);
    csv += text(r.head ? "DiT-DH" : "DiT", ",", r.width, ",", r.depth, ",", r.head, ",", r.floor, ",", r.loss, ",", r.lowest, ",", r.highest, "\n");
  }
  const std::filesystem::path folder = a.out;
  example::plot::lines(folder / "width.png", {.title = "One image: final velocity loss by width, n = 128", .x_label = "width", .y_label = "loss"}, std::vector{floor, plain, deep, head});
  example::write_text(folder / "results.csv", csv);
  const auto loss_of = [&](int width, int depth, int wide) {
    for (const Row& r : rows)
      if (r.width == width && r.depth == depth && r.head == wide) return r.loss;
    return 0.0;
  };
  const double narrow = loss_of(64, 4, 0), shallow = 100 * (loss_of(64, 2, 0) / narrow - 1), deeper = 100 * (loss_of(64, 8, 0) / narrow - 1), gain = narrow / loss_of(64, 4, 192);
  std::printf("width 64, deeper: 2 blocks %+.1f %%, 8 blocks %+.1f %% of 4 blocks' loss\nwidth 64 with a head of 192 = 1.5 n: %.1f times lower\nwrote %s, %s\n", shallow, deeper, gain,
              (folder / "width.png").c_str(), (folder / "results.csv").c_str());
  for (const Row& r : rows) check(r.lowest >= r.floor, "theorem", r.name, " ended at a loss of ", r.lowest, ", below its floor ", r.floor);
  std::printf("every loss is above its floor\n");
  if (!a.verify) return;
  check(std::abs(shallow) < 5 && std::abs(deeper) < 5, "theorem", "depth moved the loss at width 64 by ", shallow, " and ", deeper, " %, expected less than 5 %");
  check(gain >= 5, "theorem", "a head of 192 brought the loss down ", gain, " times, expected 5 at least");
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("RAE's one-image experiment: what a velocity model narrower than its token cannot learn");
  app.add_option("--data", a.data, "folder with Fashion-MNIST's four .gz files")->check(example::folder_named);
  app.add_option("--encoder", a.encoder, "safetensors of pretrain_encoder; an untrained encoder if left out");
  app.add_option("--out", a.out, "folder for plot and table")->capture_default_str();
  app.add_option("--steps", a.steps)->capture_default_str();
  app.add_option("--batch", a.batch)->capture_default_str();
  app.add_option("--evaluation", a.evaluation, "batches that the final loss is measured on")->capture_default_str();
  app.add_option("--seeds", a.seeds)->capture_default_str();
  app.add_option("--learning-rate", a.rate)->capture_default_str();
  app.add_option("--threads", a.threads, "0: all")->capture_default_str();
  app.add_flag("--verify", a.verify, "fail unless depth moves the narrow model's loss by less than 5 %, and a wide head brings it down 5 times");
  return example::run_program(app, argc, argv, [&] { run(a); });
}
