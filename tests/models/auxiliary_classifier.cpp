// JiT's auxiliary classifier (arXiv 2511.13720, table 11): what it sees, what it adds to the loss, its gradient.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/precondition.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/weights.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sfumato;
using backend::Reference;

namespace {

using Trunk = Transformer<16, 3, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<2, 2>>;
template <int Block> using Placed = JiT<ImagePatches<8, 1, 4, 3>, Trunk, Head<Linear>, AuxiliaryClassifier<Block>>;
using Model = Placed<1>;
using Plain = JiT<ImagePatches<8, 1, 4, 3>, Trunk>;
using Image = Model::ImageShape;
using Objective = FlowObjective<Space::x>;
using Values = std::vector<double>;

static_assert(Model::auxiliary_block == 1 && Plain::auxiliary_block == 0);
static_assert(parameter_count<Model>() == parameter_count<Plain>() + 3 * (16 + 1));
static_assert(cost_of<Model>(2).macs == cost_of<Plain>(2).macs);  // sampling does not pay for it
static_assert(cost_of<JiTImageNet<256, 16, JiTTrunkB, 128>>(1).parameters + 769'000 ==
              cost_of<JiT<ImagePatches<256, 3, 16, 1000>, JiTTrunkB, Head<Linear>, Bottleneck<128>, AuxiliaryClassifier<4>>>(1).parameters);

Values random_values(Index n, std::uint64_t seed, double scale) {
  Values out(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = scale * Random{seed, Stream::user}.normal(i);
  return out;
}

template <class Model = ::Model> struct Fixture {
  Reference device;
  Workspace<Reference> workspace{device};
  Tape<Reference, double> tape{workspace};
  Weights<Model, Reference, double> weights{device, 1};
  Array<Reference, double> gradients{device, weights.size()};
  Values values = random_values(weights.size(), 5, 0.3);  // no layer starts at zero
  const std::vector<int> labels{0, 2, 1};
  const Values images = random_values(3 * Image::row, 6, 1);

  void set(const Values& to) { weights.values().upload(to); }
  double loss(const Objective& objective, bool backward = false) {
    Record<Reference, double> ctx(tape, weights.data(), gradients.data(), {9, 4, 0});
    const auto x = ops::input<Image>(ctx, std::span<const double>(images));
    const auto loss = objective.loss(ctx, weights.model(), x, labels);
    double host = 0;
    ops::output(ctx, loss, std::span(&host, 1));
    if (backward) ctx.backward(loss);
    else tape.clear();
    return host;
  }
};

template <class Ctx, class V> Values host(Ctx& ctx, const V& v) {
  Values out(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(out));
  return out;
}

}  // namespace

TEST_CASE_TEMPLATE("the auxiliary classifier sees image and time, never the label, and leaves the prediction alone", M, Placed<1>, Placed<2>) {
  Fixture<M> f;
  f.set(f.values);
  Run<Reference, double> run(f.workspace, f.weights.data());
  const auto z = ops::input<Image>(run, std::span<const double>(f.images));
  const Values times{0.2, 0.5, 0.9}, later{0.3, 0.6, 0.95};
  const std::vector<int> others{1, 3, 3};
  const M& model = f.weights.model();
  const auto both = model.with_logits(run, z, std::span(times), std::span<const int>(f.labels));
  const auto relabelled = model.with_logits(run, z, std::span(times), std::span<const int>(others));
  CHECK(host(run, both.logits) == host(run, relabelled.logits));
  CHECK(host(run, both.prediction) != host(run, relabelled.prediction));
  CHECK(host(run, both.logits) != host(run, model.with_logits(run, z, std::span(later), std::span<const int>(f.labels)).logits));
  CHECK(host(run, both.prediction) == host(run, model(run, z, std::span(times), std::span<const int>(f.labels))));
}

TEST_CASE("the auxiliary cross-entropy is weighted against the sum of squares, and is that of the true label") {
  Fixture<> f;
  f.set(f.values);
  const double without = f.loss({.auxiliary_weight = 0}), with = f.loss({.auxiliary_weight = 100});
  CHECK(f.loss({.auxiliary_weight = 300}) - without == doctest::Approx(3 * (with - without)).epsilon(1e-9));
  // All labels dropped from the condition: the classifier still learns the true ones. With zero weights, from log 3.
  auto silent = f.values;
  const auto table = parameter_table(f.weights.model());
  for (const ParameterInfo& p : table)
    if (p.name.starts_with("aux_classifier")) std::fill_n(silent.begin() + p.offset, p.size, 0.0);
  f.set(silent);
  CHECK((f.loss({.label_dropout = 1}) - f.loss({.label_dropout = 1, .auxiliary_weight = 0})) * double(Image::row) / 100 == doctest::Approx(std::log(3.0)).epsilon(1e-9));
  auto knowing = silent;  // a bias towards class 2, the label of one in three
  for (const ParameterInfo& p : table)
    if (p.name == "aux_classifier.bias") knowing[static_cast<std::size_t>(p.offset + 2)] = 1;
  f.set(knowing);
  CHECK((f.loss({.label_dropout = 1}) - f.loss({.label_dropout = 1, .auxiliary_weight = 0})) * double(Image::row) / 100 ==
        doctest::Approx(std::log(2 + std::exp(1.0)) - 1.0 / 3).epsilon(1e-9));
}

TEST_CASE("a preconditioned model keeps its auxiliary classifier") {
  Fixture<> f;
  f.set(f.values);
  Run<Reference, double> run(f.workspace, f.weights.values());
  const auto z = ops::input<Image>(run, std::span<const double>(f.images));
  const Values times{0.2, 0.5, 0.9};
  const Preconditioned<Model, LinearPrecondition> wrapped{f.weights.model()};
  const auto both = wrapped.with_logits(run, z, std::span(times), std::span<const int>(f.labels));
  CHECK(host(run, both.logits) == host(run, f.weights.model().with_logits(run, z, std::span(times), std::span<const int>(f.labels)).logits));
  CHECK(host(run, both.prediction) == host(run, wrapped(run, z, std::span(times), std::span<const int>(f.labels))));
}

TEST_CASE_TEMPLATE("the gradient through prediction and auxiliary classifier agrees with finite differences", M, Placed<1>, Placed<2>) {  // 2: where the class tokens enter
  Fixture<M> f;
  f.set(f.values);
  Kernels<Reference>::fill(f.device, f.gradients.size(), 0.0, f.gradients.data());
  const Objective objective{.auxiliary_weight = 30};
  f.loss(objective, true);
  Values gradient(f.values.size());
  f.gradients.download(gradient);
  for (const std::uint64_t seed : {21, 22, 23}) {
    Values direction = random_values(Index(f.values.size()), seed, 1);
    for (const ParameterInfo& p : parameter_table(f.weights.model()))
      if (p.frozen) std::fill_n(direction.begin() + p.offset, p.size, 0.0);
    double analytic = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) analytic += gradient[i] * direction[i];
    const auto at = [&](double h) {
      Values moved = f.values;
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += h * direction[i];
      f.set(moved);
      return f.loss(objective);
    };
    const double h = 1e-5, numeric = (at(h) - at(-h)) / (2 * h);
    CHECK(analytic == doctest::Approx(numeric).epsilon(1e-6));
  }
}
