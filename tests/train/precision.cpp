// Training in bf16: the model computes in it, weights, averages and moments stay f32.
#include "train/support.hpp"

#include <sfumato/flow/sampler.hpp>

#include <sfumato/train/checkpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace train_test;

namespace {

template <class T> double distance(const std::vector<T>& a, const std::vector<T>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += std::pow(a[i] - b[i], 2), size += std::pow(b[i], 2);
  return std::sqrt(difference / size);
}

}  // namespace

TEST_CASE("bf16: gradients are those of f32 to bf16's rounding, and steps smaller than bf16's change the weights") {
  Cpu cpu(2);
  TrainOptions options = tiny_options();
  options.learning_rate = 1e-5;  // far below half a unit of the last place of a weight near 1 in bf16
  TinyTrainer<bf16> mixed(cpu, {}, options);
  TinyTrainer<float> plain(cpu, {}, options);
  static_assert(std::is_same_v<TinyTrainer<bf16>::master, float> && std::is_same_v<TinyTrainer<double>::master, double>);
  const auto before = state(mixed).at("model");
  CHECK(before == state(plain).at("model"));
  const StepResult found = mixed.step(Waves{}), expected = plain.step(Waves{});
  CHECK(found.loss == doctest::Approx(expected.loss).epsilon(0.01));
  CHECK(found.gradient_norm == doctest::Approx(expected.gradient_norm).epsilon(0.02));
  CHECK(distance(gradients(mixed), gradients(plain)) < 0.03);
  const auto after = state(mixed).at("model");
  std::size_t moved = 0, trained = 0;
  const auto d = gradients(mixed);
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (d[i] == 0) continue;
    ++trained;
    moved += after[i] != before[i];
  }
  CHECK(trained > 100);  // at first, all but the head stand behind zeros
  CHECK(double(moved) > 0.99 * double(trained));
}

TEST_CASE("bf16: gradients of micro-batches add up in f32, training lowers the loss, and samples can be drawn") {
  Cpu cpu(2);
  TrainOptions options = tiny_options();
  options.accumulate = 4;
  TinyTrainer<bf16> trainer(cpu, {}, options);
  options.accumulate = 1;
  TinyTrainer<bf16> whole(cpu, {}, options);
  const double first = trainer.step(Waves{}).loss;
  whole.step(Waves{});
  CHECK(distance(gradients(trainer), gradients(whole)) < 0.02);
  const auto finer_than_bf16 = [](const std::vector<float>& d) { return std::count_if(d.begin(), d.end(), [](float g) { return static_cast<float>(bf16(g)) != g; }); };
  CHECK(finer_than_bf16(gradients(trainer)) > 100);
  CHECK(finer_than_bf16(gradients(whole)) == 0);  // of one batch
  TinyTrainer<float> plain(cpu, {}, options);
  plain.step(Waves{});
  double last = 0, expected = 0;
  for (int i = 0; i < 60; ++i) last = trainer.step(Waves{}).loss, expected = plain.step(Waves{}).loss;
  CHECK(last < first);
  CHECK(last == doctest::Approx(expected).epsilon(0.1));

  auto run = trainer.run(trainer.ema1());
  const std::vector<int> labels{0, 2};
  const auto images = sample<Model::ImageShape>(run, trainer.model(), trainer.objective, labels, 1, 0, {.steps = 2});
  std::vector<float> pixels(static_cast<std::size_t>(images.size()));
  ops::output(run, images, std::span(pixels));
  for (const float p : pixels) CHECK(std::isfinite(p));
}

TEST_CASE("bf16: a run resumes bit for bit, and is not taken for one in f32") {
  Cpu cpu(1);
  const TemporaryDirectory directory;
  TinyTrainer<bf16> first(cpu, {}, tiny_options()), second(cpu, {}, tiny_options());
  for (int i = 0; i < 3; ++i) first.step(Waves{});
  save_checkpoint(directory / "run.safetensors", first);
  load_checkpoint(directory / "run.safetensors", second);
  CHECK(first.step(Waves{}).loss == second.step(Waves{}).loss);
  CHECK(state(first) == state(second));
  TinyTrainer<float> other(cpu, {}, tiny_options());
  CHECK_THROWS_AS(load_checkpoint(directory / "run.safetensors", other), Error);
}
