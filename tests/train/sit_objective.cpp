// SiT's objective, plain, aligned and entangled: gradients, each of its losses by hand, what they look at, and a run that learns.
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/latent_source.hpp>
#include <sfumato/train/sit_objective.hpp>

#include "check_error.hpp"
#include "model_gradient.hpp"

#include <array>
#include <cmath>
#include <vector>

using namespace train_test;
using backend::Reference;

namespace {

using Latent = ImagePatches<4, 2, 2, 3>;
using SmallTrunk = SiTTrunk<16, 2, 2>;
using Teacher = VisionEncoder<EncoderInput<8, 4, 2, Interpolation::cubic, GreyColours>, Transformer<6, 1, LayerNorm, GELU, Heads<1>>, LayerNormNoAffine, false>;
using Plain = SiT<Latent, SmallTrunk>;
using Aligned = SiT<Latent, SmallTrunk, Alignment<1, 6, 8>>;
using Entangled = SiT<Latent, SmallTrunk, ClassToken<6>, Alignment<1, 6, 8>>;
template <class Way = LinearPath, class Times = UniformTime> using Flow = SiTObjective<Teacher, Way, Times>;
using Sample = Flow<>::Sample<Plain>;
constexpr int latent = 32, class_dim = 6;
static_assert(Sample::row == 2 * latent + 5 * class_dim);

std::vector<double> samples(std::size_t n) {
  std::vector<double> out(n * std::size_t(Sample::row));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::cos(0.37 * double(i) + 0.2) + (i % std::size_t(Sample::row) < latent ? 0.0 : 1.1);
  return out;
}

template <class Model, class Objective> void check_gradient(Objective objective) {
  const auto x = samples(2);
  const std::vector<int> labels{0, 2};
  check_model_gradient<Model>([&](auto& ctx, const Model& model) { return objective.loss(ctx, model, ops::input<Sample>(ctx, std::span<const double>(x)), labels); });
}

/// Says zero, and keeps what it was shown.
template <class Of> struct Silent : Of {
  std::vector<double>* seen = nullptr;
  std::vector<double>* at = nullptr;
  std::vector<int>* with = nullptr;
  template <class Ctx, class Z> Z operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    seen->resize(std::size_t(z.size()));
    ops::output(ctx, z, std::span(*seen));
    at->assign(times.begin(), times.end());
    with->assign(labels.begin(), labels.end());
    return ops::scale(ctx, 0, z);
  }
  template <class Ctx, class Z> auto with_projection(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    const auto projection = ops::input_from<Shape<dynamic, Of::tokens, class_dim>>(ctx, z.batch, [&](double* out) {
      for (Index i = 0; i < z.batch * Of::tokens * class_dim; ++i) out[i] = std::sin(double(i));
    });
    return typename Of::template Both<Z, std::remove_const_t<decltype(projection)>>{(*this)(ctx, z, times, labels), projection};
  }
};

struct Shown {
  double loss;
  std::vector<double> z, times;
  std::vector<int> labels;
};
template <class Model, class Objective> Shown show(const Objective& objective, const std::vector<double>& x, const std::vector<int>& labels, const StepRandom& random) {
  Reference device;
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  Shown out{};
  Silent<Model> model;
  model.seen = &out.z, model.at = &out.times, model.with = &out.labels;
  Record<Reference, double> ctx(tape, nullptr, nullptr, random);
  ops::output(ctx, objective.loss(ctx, model, ops::input<Sample>(ctx, std::span<const double>(x)), labels), std::span(&out.loss, 1));
  tape.clear();
  return out;
}

}  // namespace

TEST_CASE("SiT's objective: gradients in every parameter, on both paths") {
  check_gradient<Plain>(Flow<>{});
  check_gradient<Aligned>(Flow<CosinePath, ArctanNormal>{});
  check_gradient<Entangled>(Flow<>{.class_scale = 2, .class_weight = 0.7});
  check_gradient<Entangled>(Flow<CosinePath>{});
}

TEST_CASE("SiT's objective: what the model is shown and the loss of saying nothing, by hand") {
  const std::size_t n = 5;
  const auto x = samples(n);
  const std::vector<int> labels{0, 1, 2, 0, 1};
  const StepRandom random{.seed = 8, .step = 3, .first_sample = 10};
  const auto by_hand = [&]<class Model, class Way>(std::type_identity<Model>, std::type_identity<Way>) {
    const Flow<Way> objective{.latent_scale = 0.6, .class_scale = 1.7, .class_weight = 0.2, .alignment_weight = 0.8, .label_dropout = 0.5};
    const Shown shown = show<Model>(objective, x, labels, random);
    constexpr std::size_t row = std::size_t(Model::ImageShape::row);
    const auto stream = [&](Stream s) { return Random{random.seed, s, random.step}; };
    double of_latent = 0, of_class = 0, cosine = 0;
    for (std::size_t b = 0; b < n; ++b) {
      const double* const given = x.data() + b * std::size_t(Sample::row);
      CHECK(shown.times[b] == stream(Stream::time).uniform(10 + b));
      CHECK(shown.labels[b] == (stream(Stream::label_dropout).uniform(10 + b) < 0.5 ? 3 : labels[b]));
      const PathPoint p = Way::at(shown.times[b]);
      for (std::size_t j = 0; j < row; ++j) {
        const double data = j < latent ? 0.6 * (given[j] + given[latent + j] * stream(Stream::posterior).normal((10 + b) * latent + j)) : 1.7 * given[2 * latent + j - latent];
        const double noise = stream(Stream::noise).normal((10 + b) * row + j);
        CHECK(shown.z[b * row + j] == doctest::Approx(p.data * data + p.noise * noise).epsilon(1e-12));
        const double velocity = p.d_data * data + p.d_noise * noise;
        (j < latent ? of_latent : of_class) += velocity * velocity / double(n) / (j < latent ? latent : class_dim);
      }
      if constexpr (Model::aligned) {
        const std::size_t skipped = 2 * latent + (Model::entangled ? 0 : class_dim);
        for (std::size_t t = 0; t < std::size_t(Model::tokens); ++t) {
          double dot = 0, of_x = 0, of_y = 0;
          for (std::size_t c = 0; c < class_dim; ++c) {
            const double u = std::sin(double((b * std::size_t(Model::tokens) + t) * class_dim + c)), v = given[skipped + t * class_dim + c];
            dot += u * v, of_x += u * u, of_y += v * v;
          }
          cosine += dot / std::sqrt(of_x * of_y) / double(n) / double(Model::tokens);
        }
      }
    }
    CHECK(shown.loss == doctest::Approx(of_latent + 0.2 * of_class - 0.8 * cosine).epsilon(1e-11));
  };
  by_hand(std::type_identity<Plain>{}, std::type_identity<LinearPath>{});
  by_hand(std::type_identity<Aligned>{}, std::type_identity<LinearPath>{});
  by_hand(std::type_identity<Entangled>{}, std::type_identity<LinearPath>{});
  by_hand(std::type_identity<Entangled>{}, std::type_identity<CosinePath>{});
}

TEST_CASE("SiT's objective: options that mean nothing") {
  for (const auto& [objective, what] : {std::pair{Flow<>{.latent_scale = 0}, "latent_scale"}, {Flow<>{.class_scale = 0}, "class_scale"}, {Flow<>{.class_scale = std::nan("")}, "class_scale"}, {Flow<>{.class_scale = -2}, "class_scale"}, {Flow<>{.class_weight = -1}, "class_weight"}, {Flow<>{.alignment_weight = std::nan("")}, "alignment_weight"},
                                        {Flow<>{.label_dropout = 2}, "label_dropout"}})
    check_error([&, o = objective] { o.validate(); }, "objective-options", {what, "found"});
}

TEST_CASE("SiT's objective: a class token noised as it is leaves no option in a checkpoint, another scale does") {
  const auto written = [](const Flow<>& objective) {
    int times = 0;
    objective.for_each_option([&](const std::string& name, const auto&) { times += name == "objective.class_scale"; });
    return times;
  };
  CHECK(written({}) == 0);
  CHECK(written({.class_scale = 2}) == 1);
}

namespace {

/// A file of samples, as `prepare` writes it.
struct File {
  TemporaryDirectory folder;
  std::filesystem::path path = folder / "latents.safetensors";
  std::vector<float> moments = std::vector<float>(6 * 2 * latent), tokens = std::vector<float>(6 * 5 * class_dim);
  std::vector<std::int32_t> labels{0, 1, 2, 0, 1, 2};

  File() {
    for (std::size_t i = 0; i < moments.size(); ++i) moments[i] = float(std::sin(0.9 * double(i % (2 * latent)) + 2.1 * double(i / (2 * latent) % 3))) * (i % (2 * latent) < latent ? 1.4f : 0.0f);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = float(std::cos(0.4 * double(i % (5 * class_dim)) + 1.3 * double(i / (5 * class_dim) % 3)));
  }
  std::vector<io::TensorToWrite> tensors() const {
    return {{"moments", io::Dtype::f32, {6, 4, 4, 4}, moments.data(), {}}, {"tokens", io::Dtype::f32, {6, 5, class_dim}, tokens.data(), {}}, {"labels", io::Dtype::i32, {6}, labels.data(), {}}};
  }
  void write(const std::vector<io::TensorToWrite>& all) const { io::write_safetensors(path, all); }
};

}  // namespace

TEST_CASE("LatentSource: rows of moments and tokens with their labels; all that a file has otherwise is told") {
  File file;
  file.write(file.tensors());
  {
    const io::SafetensorsFile open(file.path);
    const LatentSource<Entangled, Flow<>> source(open);
    CHECK(source.size() == 6);
    std::vector<float> row(static_cast<std::size_t>(Sample::row));
    CHECK(source.load(4, false, row.data()) == 1);
    for (std::size_t j = 0; j < row.size(); ++j) CHECK(row[j] == (j < 2 * latent ? file.moments[4 * 2 * latent + j] : file.tokens[4 * 5 * class_dim + j - 2 * latent]));
    check_error([&] { source.load(0, true, row.data()); }, "train-options", {"flipped"});
  }
  const auto refused = [&](const std::vector<io::TensorToWrite>& all, std::initializer_list<std::string_view> words) {
    file.write(all);
    const io::SafetensorsFile open(file.path);
    check_error([&] { LatentSource<Entangled, Flow<>>{open}; }, "latents-file", words);
  };
  auto all = file.tensors();
  all[0].shape = {6, 4, 16};
  all[2].dtype = io::Dtype::f32;
  refused({all[0], all[2]}, {"shape: moments expected (6, 4, 4, 4), found (6, 4, 16)", "missing: tokens", "type: labels expected I32, found F32"});
  all = file.tensors();
  all[2].shape = {5};
  refused(all, {"6, 6 and 5"});
  file.labels[3] = 3;
  refused(file.tensors(), {"label 3 of sample 3", "0..2"});
}

TEST_CASE("SiT with a class token: training lowers the loss, and a resumed run goes on bit for bit") {
  File file;
  file.write(file.tensors());
  const io::SafetensorsFile open(file.path);
  const LatentSource<Entangled, Flow<>> source(open);
  Cpu cpu(2);
  const TrainOptions options{.batch = 32, .learning_rate = 5e-3, .seed = 2};
  using T = Trainer<Entangled, Sample, Flow<>, Cpu>;
  T trainer(cpu, {.latent_scale = 1}, options);
  const double first = trainer.step(source).loss;
  for (int i = 0; i < 40; ++i) trainer.step(source);
  const auto checkpoint = file.folder / "c.safetensors";
  save_checkpoint(checkpoint, trainer);
  double last = 0;
  for (int i = 0; i < 160; ++i) last = trainer.step(source).loss;
  CHECK(last < 0.4 * first);
  T resumed(cpu, {.latent_scale = 1}, options);
  load_checkpoint(checkpoint, resumed);
  for (int i = 0; i < 160; ++i) resumed.step(source);
  CHECK(state(resumed) == state(trainer));
}
