// What a step does to the parameters: Adam, decay, averages, schedules, clipping, micro-batches, threads.
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/train/muon.hpp>

#include <cmath>
#include <cstring>

using namespace train_test;

namespace {

// A matrix, a vector and a frozen vector that are added to the samples; the loss is their mean square.
struct Offsets {
  Param<Shape<2, 3>, init::Normal02> matrix;
  Param<Shape<6>, init::Normal02> vector;
  Param<Shape<6>, init::Normal02, true> frozen;
  static constexpr void parameters(auto& self, auto&& visit) { visit("matrix", self.matrix), visit("vector", self.vector), visit("frozen", self.frozen); }
};
struct MeanSquare {
  template <class Ctx, class X> auto loss(Ctx& ctx, const Offsets& m, const X& x, std::span<const int>) const {
    const auto y = ops::add_parameter(ctx, ops::silu(ctx, ops::add_parameter(ctx, ops::add_parameter(ctx, x, m.matrix), m.vector)), m.frozen);
    const std::vector<double> ones(static_cast<std::size_t>(x.batch), 1.0);
    return ops::weighted_mse(ctx, y, ops::scale(ctx, 0, x), ones);
  }
};
struct Sines {
  Index size() const { return 5; }
  template <class E> int load(Index i, bool, E* out) const {
    for (int j = 0; j < 6; ++j) out[j] = static_cast<E>(std::sin(double(6 * i + j)));
    return 0;
  }
};

// Images of 16 x 16.
struct Dots {
  Index size() const { return 40; }
  int load(Index i, bool, float* out) const {
    for (int j = 0; j < 256; ++j) out[j] = static_cast<float>(std::sin(double(i + 3 * j)));
    return int(i % 3);
  }
};

// Three steps of `options` against Adam written out, from the gradients that the trainer leaves.
template <class B> void check_steps(TrainOptions options, AdamW adam = {}) {
  B device;
  Trainer<Offsets, Shape<dynamic, 6>, MeanSquare, B, double> trainer(device, {}, options, adam);
  auto expected = state(trainer);
  auto &w = expected["model"], &ema1 = expected["model_ema1"], &ema2 = expected["model_ema2"], &m = expected["optimizer.m"], &v = expected["optimizer.v"];
  CHECK(w == ema1);
  CHECK(w == ema2);
  for (int step = 1; step <= 3; ++step) {
    const StepResult result = trainer.step(Sines{});
    const auto gradient = gradients(trainer);
    double norm = 0;
    for (const double g : gradient) norm += g * g;
    norm = std::sqrt(norm);
    CHECK(result.step == step);
    CHECK(result.gradient_norm == doctest::Approx(norm).epsilon(1e-12));
    CHECK(result.learning_rate == options.rate(step - 1));
    const double factor = options.clip > 0 && norm > options.clip ? options.clip / norm : 1;
    if (options.clip > 0) CHECK(factor < 1);
    for (const ParameterInfo& p : parameter_table(trainer.model()))
      for (auto i = static_cast<std::size_t>(p.offset); i < static_cast<std::size_t>(p.offset + p.size); ++i) {
        if (p.frozen) continue;
        const double g = factor * gradient[i];
        CHECK(g != 0);
        m[i] = adam.beta1 * m[i] + (1 - adam.beta1) * g;
        v[i] = adam.beta2 * v[i] + (1 - adam.beta2) * g * g;
        const double m_hat = m[i] / (1 - std::pow(adam.beta1, step)), v_hat = v[i] / (1 - std::pow(adam.beta2, step));
        const double decay = p.name == "matrix" ? adam.weight_decay : 0;
        w[i] -= result.learning_rate * (m_hat / (std::sqrt(v_hat) + adam.epsilon) + decay * w[i]);
        ema1[i] = options.ema1 * ema1[i] + (1 - options.ema1) * w[i];
        ema2[i] = options.ema2 * ema2[i] + (1 - options.ema2) * w[i];
      }
    auto found = state(trainer);
    for (const char* name : {"model", "model_ema1", "model_ema2", "optimizer.m", "optimizer.v"})
      for (std::size_t i = 0; i < w.size(); ++i) CHECK(found[name][i] == doctest::Approx(expected[name][i]).epsilon(1e-11));
  }
}

template <class E = float> auto trained(const TrainOptions& options, int steps, int threads) {
  Cpu device(threads);
  TinyTrainer<E> trainer(device, {}, options);
  for (int i = 0; i < steps; ++i) trainer.step(Waves{});
  return state(trainer);
}

}  // namespace

TEST_CASE("three steps of Adam, AdamW, clipping and warm-up are those written out") {
  TrainOptions options;
  options.batch = 3;
  options.learning_rate = 0.1;
  options.ema1 = 0.9, options.ema2 = 0.5;
  check_steps<backend::Reference>(options);
  check_steps<Cpu>(options);
  AdamW adam{.weight_decay = 0.3};
  check_steps<backend::Reference>(options, adam);
  check_steps<Cpu>(options, adam);
  options.clip = 0.01;
  options.warmup = 2;
  adam.beta1 = 0.5, adam.beta2 = 0.9, adam.epsilon = 1e-3;
  check_steps<Cpu>(options, adam);
}

TEST_CASE("learning rates: constant, warm-up from zero, cosine") {
  TrainOptions o;
  o.learning_rate = 2;
  CHECK(o.rate(0) == 2);
  CHECK(o.rate(1'000'000) == 2);
  o.warmup = 4;
  CHECK(o.rate(0) == 0);
  CHECK(o.rate(1) == doctest::Approx(0.5));
  CHECK(o.rate(4) == 2);
  CHECK(o.rate(5) == 2);
  o.schedule = Schedule::cosine, o.total_steps = 104, o.minimum_rate = 0.2;
  CHECK(o.rate(0) == 0);
  CHECK(o.rate(4) == doctest::Approx(2));
  CHECK(o.rate(29) == doctest::Approx(0.2 + 1.8 * 0.5 * (1 + std::cos(3.14159265358979323846 / 4))));
  CHECK(o.rate(54) == doctest::Approx(1.1));
  CHECK(o.rate(104) == doctest::Approx(0.2));
  CHECK(o.rate(500) == doctest::Approx(0.2));
  for (Index i = 4; i < 104; ++i) CHECK(o.rate(i + 1) <= o.rate(i));
}

TEST_CASE("learning rates: held, then along a line (RAE: 40 epochs of 800, to a tenth)") {
  TrainOptions o;
  o.learning_rate = 2e-4, o.minimum_rate = 2e-5, o.schedule = Schedule::linear, o.hold = 40, o.total_steps = 800, o.warmup = 2;
  o.validate();
  CHECK(o.rate(1) == doctest::Approx(1e-4));
  CHECK(o.rate(2) == 2e-4);
  CHECK(o.rate(40) == 2e-4);
  CHECK(o.rate(420) == doctest::Approx(1.1e-4));
  CHECK(o.rate(800) == doctest::Approx(2e-5));
  CHECK(o.rate(1400) == doctest::Approx(2e-5));
  o.hold = 800;
  check_error([&] { o.validate(); }, "train-options", {"linear", "800 and 800"});
}

TEST_CASE("the first step of a warm-up changes moments, not weights") {
  Cpu device(1);
  auto options = tiny_options();
  options.warmup = 5;
  TinyTrainer<> trainer(device, {}, options);
  const auto before = state(trainer);
  trainer.step(Waves{});
  auto after = state(trainer);
  CHECK(after["model"] == before.at("model"));
  CHECK(after["optimizer.m"] != before.at("optimizer.m"));
}

TEST_CASE("micro-batches add up to the batch") {
  auto options = tiny_options();
  auto whole = trained<double>(options, 4, 1);
  for (const Index parts : {2, 4, 8}) {
    options.accumulate = parts;
    auto in_parts = trained<double>(options, 4, 1);
    for (const auto& [name, values] : whole)
      for (std::size_t i = 0; i < values.size(); ++i) REQUIRE(in_parts[name][i] == doctest::Approx(values[i]).epsilon(1e-6).scale(1e-3));
  }
}

TEST_CASE("the same bits on 1, 2 and 4 threads, and with every seed others") {
  using Wide = JiT<ImagePatches<16, 1, 4, 3>, Transformer<64, 2, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<2, 1>, Dropout<std::ratio<1, 10>, 0, 2>>, Head<Linear>, Bottleneck<8>>;
  const auto run = [](std::uint64_t seed, int threads) {
    Cpu device(threads);
    auto options = tiny_options();
    options.batch = 32, options.seed = seed, options.clip = 0.5;  // enough work for the backend to share out
    Trainer<Wide, Wide::ImageShape, Objective, Cpu> trainer(device, {}, options);
    for (int i = 0; i < 3; ++i) trainer.step(Dots{});
    return state(trainer);
  };
  const auto one = run(3, 1);
  CHECK(run(3, 2) == one);
  CHECK(run(3, 4) == one);
  CHECK(run(4, 1).at("model") != one.at("model"));
}

TEST_CASE("training lowers the loss, and the averages follow the weights") {
  Cpu device(1);
  auto options = tiny_options();
  options.batch = 20;
  TinyTrainer<> trainer(device, {}, options);
  double first = 0, last = 0;
  for (int i = 0; i < 60; ++i) {
    const double loss = trainer.step(Waves{}).loss;
    if (i < 10) first += loss / 10;
    if (i >= 50) last += loss / 10;
  }
  CHECK(last < 0.8 * first);
  const auto s = state(trainer);
  const auto distance = [&](const char* name) {
    double sum = 0;
    for (std::size_t i = 0; i < s.at("model").size(); ++i) sum += std::pow(double(s.at(name)[i]) - double(s.at("model")[i]), 2);
    return std::sqrt(sum);
  };
  CHECK(distance("model_ema2") > 0);
  CHECK(distance("model_ema2") < distance("model_ema1"));  // 0.5 follows closer than 0.9
}

TEST_CASE("frozen tables stay, in weights and averages") {
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  const auto before = state(trainer);
  for (int i = 0; i < 3; ++i) trainer.step(Waves{});
  const auto after = state(trainer);
  const auto table = parameter_table(trainer.model());
  REQUIRE(table[0].frozen);
  for (const ParameterInfo& p : table)
    for (const char* name : {"model", "model_ema1", "model_ema2"}) {
      const auto bytes = static_cast<std::size_t>(p.size) * sizeof(float);
      const bool same = std::memcmp(&before.at(name)[std::size_t(p.offset)], &after.at(name)[std::size_t(p.offset)], bytes) == 0;
      INFO(name << " " << p.name);
      // adaLN-Zero: what stands behind a gate of zero moves from the second step on.
      CHECK(same == p.frozen);
    }
}

TEST_CASE("options that mean nothing are errors with their numbers") {
  const auto error = [](auto change, const char* word, const char* number) {
    TrainOptions options;
    change(options);
    check_error([&] { options.validate(); }, "train-options", {word, number});
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  error([](TrainOptions& o) { o.batch = 0; }, "batch", "found 0");
  error([](TrainOptions& o) { o.batch = 10, o.accumulate = 3; }, "accumulate", "found 3");
  error([](TrainOptions& o) { o.accumulate = 0; }, "accumulate", "found 0");
  error([](TrainOptions& o) { o.learning_rate = -1; }, "learning_rate", "found -1");
  error([&](TrainOptions& o) { o.learning_rate = nan; }, "learning_rate", "nan");
  error([](TrainOptions& o) { o.warmup = -1; }, "warmup", "found -1");
  error([](TrainOptions& o) { o.schedule = Schedule::cosine; }, "total_steps", "found 0");
  error([](TrainOptions& o) { o.minimum_rate = -1; }, "minimum_rate", "found -1");
  error([](TrainOptions& o) { o.clip = -2; }, "clip", "found -2");
  error([](TrainOptions& o) { o.ema1 = 1.5; }, "ema1", "found 1.5");
  error([](TrainOptions& o) { o.ema2 = -0.5; }, "ema2", "found -0.5");
  const auto optimiser_error = [](const auto& optimiser, const char* word, const char* number) {
    check_error([&] { optimiser.validate(); }, "optimiser-options", {word, number});
  };
  optimiser_error(AdamW{.beta1 = 1}, "beta1", "found 1");
  optimiser_error(AdamW{.beta2 = -0.5}, "beta2", "found -0.5");
  optimiser_error(AdamW{.epsilon = -1}, "epsilon", "found -1");
  optimiser_error(AdamW{.weight_decay = -0.1}, "weight_decay", "found -0.1");
  optimiser_error(Muon<>{.momentum = 1}, "momentum", "found 1");
  optimiser_error(Muon<>{.iterations = 0}, "iterations", "found 0");
  optimiser_error(Muon<>{.weight_decay = nan}, "weight_decay", "nan");
  optimiser_error(Muon<>{.other = {.beta1 = 2}}, "beta1", "found 2");
  Cpu device(1);
  auto options = tiny_options();
  options.batch = -4;
  check_error([&] { TinyTrainer<> trainer(device, {}, options); }, "train-options", {"found -4"});
}
