// Muon: its step written out with Eigen, AdamW's bits for what is no matrix, and an exact resume.
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/train/muon.hpp>

#include <Eigen/Dense>

#include <cmath>

using namespace train_test;

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// A wide, a tall and a convolution's weight, a bias and a class token: only the first three are matrices.
struct Mixed {
  Param<Shape<3, 5>, init::Normal02> wide;
  Param<Shape<5, 3>, init::Normal02> tall;
  Param<Shape<4, 2, 2, 1>, init::Normal02> convolution;
  Param<Shape<6>, init::Normal02> bias;
  Param<Shape<1, 2, 3>, init::Normal02> token;
  static constexpr void parameters(auto& self, auto&& visit) {
    visit("wide", self.wide), visit("tall", self.tall), visit("convolution", self.convolution), visit("bias", self.bias), visit("token", self.token);
  }
};
// sum over parameters of the mean square of (p - sample): each gets a gradient of its own.
struct Distance {
  template <class Visit> void for_each_option(Visit&& visit) const { visit("objective", "distance"); }
  template <class Ctx, class X> auto loss(Ctx& ctx, const Mixed& m, const X& x, std::span<const int>) const {
    const std::vector<double> ones(static_cast<std::size_t>(x.batch), 1.0);
    const auto part = [&]<class P>(const P& p) {
      using S = Shape<dynamic, int(P::size)>;
      return ops::weighted_mse(ctx, ops::parameter<S>(ctx, p, x.batch), ops::slice<1, 0, int(P::size)>(ctx, x), std::span<const double>(ones));
    };
    return ops::add(ctx, ops::add(ctx, ops::add(ctx, part(m.wide), part(m.tall)), part(m.convolution)), ops::add(ctx, part(m.bias), part(m.token)));
  }
};
struct Sines {
  Index size() const { return 5; }
  template <class E> int load(Index i, bool, E* out) const {
    for (int j = 0; j < 16; ++j) out[j] = static_cast<E>(std::sin(double(16 * i + j)));
    return 0;
  }
};

Matrix newton_schulz(Matrix x, int iterations) {
  const bool tall = x.rows() > x.cols();
  if (tall) x.transposeInPlace();
  x /= x.norm() + 1e-7;
  for (int i = 0; i < iterations; ++i) {
    const Matrix a = x * x.transpose();
    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a * a) * x;
  }
  if (tall) x.transposeInPlace();
  return x;
}

template <class O, class B> auto make(B& device, const TrainOptions& options, O optimiser) {
  return Trainer<Mixed, Shape<dynamic, 16>, Distance, B, double, O>(device, {}, options, optimiser);
}

template <class B> void check_steps() {
  B device;
  TrainOptions options;
  options.batch = 5, options.learning_rate = 0.1, options.ema1 = 0.9, options.ema2 = 0.5, options.clip = 0.02;
  const Muon<> muon{.momentum = 0.8, .weight_decay = 0.3, .other = {.beta2 = 0.9}};
  auto trainer = make(device, options, muon);
  auto adam = make(device, options, muon.other);
  auto expected = state(trainer);
  std::map<std::string, Matrix> momentum;
  for (int step = 0; step < 3; ++step) {
    const StepResult result = trainer.step(Sines{});
    adam.step(Sines{});
    const auto gradient = gradients(trainer);
    const double scale = std::min(1.0, options.clip / result.gradient_norm);
    CHECK(scale < 1);
    const auto found = state(trainer);
    for (const ParameterInfo& p : parameter_table(trainer.model())) {
      const Index rows = p.shape[0], columns = p.size / rows;
      const auto of = [&](std::vector<double>& buffer) { return Eigen::Map<Matrix>(buffer.data() + p.offset, rows, columns); };
      if (p.name == "bias" || p.name == "token") continue;
      auto g = gradient;
      auto [m, first] = momentum.try_emplace(p.name, Matrix::Zero(rows, columns));
      m->second = muon.momentum * m->second + scale * of(g);
      const Matrix direction = newton_schulz(muon.momentum * m->second + scale * of(g), muon.iterations);
      auto w = of(expected["model"]);
      w = (1 - 0.1 * 0.3) * w - 0.1 * 0.2 * std::sqrt(double(std::max(rows, columns))) * direction;
      of(expected["model_ema1"]) = 0.9 * of(expected["model_ema1"]) + 0.1 * w;
      of(expected["model_ema2"]) = 0.5 * of(expected["model_ema2"]) + 0.5 * w;
      for (const char* name : {"model", "model_ema1", "model_ema2"})
        for (Index i = p.offset; i < p.offset + p.size; ++i)
          CHECK(found.at(name)[static_cast<std::size_t>(i)] == doctest::Approx(expected[name][static_cast<std::size_t>(i)]).epsilon(1e-10));
    }
  }
}

}  // namespace

TEST_CASE("three steps of Muon are those written out, on wide, tall and flattened matrices") {
  check_steps<backend::Reference>();
  check_steps<Cpu>();
}

TEST_CASE("Muon leaves vectors and tokens to AdamW, bit for bit") {
  Cpu device(1);
  TrainOptions options;
  options.batch = 5;  // no clipping: the gradient's norm has all parameters in it
  auto muon = make(device, options, Muon<>{});
  auto adam = make(device, options, AdamW{});
  muon.step(Sines{});
  adam.step(Sines{});
  auto left = state(muon), right = state(adam);
  for (const ParameterInfo& p : parameter_table(muon.model()))
    for (const auto& [name, values] : right)
      if (name != "step") {
        const auto same = std::equal(values.begin() + p.offset, values.begin() + p.offset + p.size, left[name].begin() + p.offset);
        if (p.name == "bias" || p.name == "token") CHECK(same);  // also in AdamW's own buffers
        else if (name == "model") CHECK(!same);
      }
}

TEST_CASE("Newton-Schulz leaves the singular values near 1") {
  Cpu device(1);
  TrainOptions options;
  options.batch = 5, options.learning_rate = 1;
  auto trainer = make(device, options, Muon<>{});
  const auto before = state(trainer)["model"];
  trainer.step(Sines{});
  auto after = state(trainer)["model"];
  for (std::size_t i = 0; i < after.size(); ++i) after[i] = (before[i] - after[i]) / (0.2 * std::sqrt(5.0));
  const Matrix direction = Eigen::Map<Matrix>(after.data(), 3, 5);  // the first parameter
  const Eigen::JacobiSVD<Eigen::MatrixXd> decomposition(direction);
  for (const double s : decomposition.singularValues()) {
    CHECK(s > 0.6);
    CHECK(s < 1.3);
  }
}

TEST_CASE("a run with Muon resumes exactly, and is not taken for one with AdamW") {
  const TemporaryDirectory folder;
  Cpu device(1);
  using Tiny = Trainer<Model, Model::ImageShape, Objective, Cpu, float, Muon<>>;
  Tiny whole(device, {}, tiny_options()), first(device, {}, tiny_options()), second(device, {}, tiny_options());
  for (int i = 0; i < 4; ++i) whole.step(Waves{});
  for (int i = 0; i < 2; ++i) first.step(Waves{});
  save_checkpoint(folder / "muon.safetensors", first);
  load_checkpoint(folder / "muon.safetensors", second);
  for (int i = 0; i < 2; ++i) second.step(Waves{});
  CHECK(state(second) == state(whole));

  TinyTrainer<> adam(device, {}, tiny_options());
  check_error([&] { load_checkpoint(folder / "muon.safetensors", adam); }, "checkpoint-settings",
              {"optimizer: muon, this run has adamw", "optimizer.momentum: 0.95, this run has none", "optimizer.other.optimizer.beta2: 0.95, this run has none"});
  save_checkpoint(folder / "adam.safetensors", adam);
  check_error([&] { load_checkpoint(folder / "adam.safetensors", first); }, "checkpoint-settings", {"optimizer.momentum: not given, this run has 0.95"});
  // Momentum is no first moment of Adam's, whatever else may change.
  check_error([&] { load_checkpoint(folder / "muon.safetensors", adam, Resume::with_changes); }, "checkpoint-mismatch", {"extra: optimizer.momentum."});
  check_error([&] { load_checkpoint(folder / "adam.safetensors", first, Resume::with_changes); }, "checkpoint-mismatch", {"missing: optimizer.momentum."});
}
