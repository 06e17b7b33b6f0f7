// One case for each mended bug.
#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/nn/transformer.hpp>
#include <sfumato/ops/loss.hpp>
#include <sfumato/train/checkpoint.hpp>

#include "io/support.hpp"

#include <doctest/doctest.h>

#include <locale>
#include <optional>

using namespace sfumato;
using backend::Cpu;

namespace {

struct Squared {
  template <class Ctx, class Model, class X> auto loss(Ctx& ctx, const Model& model, const X& x, std::span<const int> labels) const {
    const std::vector<double> one(labels.size(), 1.0);
    return ops::weighted_mse(ctx, model(ctx, x), x, std::span<const double>(one));
  }
};
using Model = layer::Linear<4, 4>;
using Sample = Shape<dynamic, 4>;
struct Data {
  Index size() const { return 16; }
  int load(Index i, bool, float* out) const {
    for (int j = 0; j < 4; ++j) out[j] = 0.1f * static_cast<float>(i + j);
    return 0;
  }
};
using Trained = Trainer<Model, Sample, Squared, Cpu>;

std::vector<float> values(Trained& trainer) {
  std::vector<float> host(static_cast<std::size_t>(trainer.weights().size()));
  trainer.weights().download(host);
  return host;
}

struct Grouping : std::numpunct<char> {
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

}  // namespace

TEST_CASE("a checkpoint with a tensor of integers is refused before anything is read") {
  const io_test::TemporaryDirectory folder;
  Cpu cpu(1);
  Trained trainer(cpu, {}, {.batch = 8});
  trainer.step(Data{});
  std::vector<io::TensorToWrite> tensors;
  const std::vector<float> zeros(16, 0.0f);
  for (const char* buffer : {"model", "model_ema1", "model_ema2", "optimizer.m", "optimizer.v"}) {
    tensors.push_back({std::string(buffer) + ".weight", io::Dtype::f32, {4, 4}, zeros.data()});
    tensors.push_back({std::string(buffer) + ".bias", std::string(buffer) == "optimizer.v" ? io::Dtype::i32 : io::Dtype::f32, {4}, zeros.data()});
  }
  save_checkpoint(folder / "good.safetensors", trainer);
  io::write_safetensors(folder / "c.safetensors", tensors, io::SafetensorsFile(folder / "good.safetensors").metadata());
  const auto before = values(trainer);
  check_error([&] { load_checkpoint(folder / "c.safetensors", trainer); }, "checkpoint-mismatch", {});
  CHECK(values(trainer) == before);
  CHECK(trainer.step_count() == 1);
}

TEST_CASE("a program's locale does not reach into files") {
  const io_test::TemporaryDirectory folder;
  Cpu cpu(1);
  Trained trainer(cpu, {}, {.batch = 8});
  Weights<layer::Linear<64, 64>, Cpu> large(cpu, 1), again(cpu);
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Grouping));
  save_checkpoint(folder / "c.safetensors", trainer);
  save_weights(folder / "w.safetensors", large);
  std::locale::global(before);
  load_checkpoint(folder / "c.safetensors", trainer);
  load_weights(folder / "w.safetensors", again);
}

TEST_CASE("options that would turn weights into NaN are refused") {
  Cpu cpu(1);
  check_error([&] { Trained(cpu, {}, {.batch = 8}, {.epsilon = 0}); }, "optimiser-options", {});
  check_error([&] { Trained(cpu, {}, {.batch = 8, .learning_rate = std::numeric_limits<double>::infinity()}); }, "train-options", {});
  check_error([&] { Trained(cpu, {}, {.batch = 8}, {.beta2 = 1}); }, "optimiser-options", {});
}

TEST_CASE("a recomputed block outlives the model object that recorded it") {
  using Trunk = Transformer<8, 1, RMSNorm, SwiGLU, Heads<2>, Recompute>;
  Cpu cpu(1);
  Workspace workspace(cpu);
  Tape<Cpu, float> tape(workspace);
  std::optional<Trunk> model(std::in_place);
  const Index size = bind(*model);
  std::vector<float> weights(static_cast<std::size_t>(size), 0.1f), gradients(weights.size());
  Record<Cpu> ctx(tape, weights.data(), gradients.data());
  const auto x = ops::normal<Shape<dynamic, 4, 8>>(ctx, 2, {1, Stream::user});
  const std::vector<double> one(2, 1.0);
  const auto loss = ops::weighted_mse(ctx, (*model)(ctx, x), x, std::span<const double>(one));
  model.reset();
  ctx.backward(loss);
  CHECK(std::any_of(gradients.begin(), gradients.end(), [](float g) { return g != 0; }));
  check_error([&] { ctx.backward(loss); }, "empty-tape", {});
}

TEST_CASE("tensors and views go in and out of a context") {
  Cpu cpu(1);
  Workspace workspace(cpu);
  Run<Cpu> run(workspace, nullptr);
  Tensor<float, Shape<dynamic, 3>, Cpu> tensor(cpu, 4), back(cpu, 2);
  std::vector<float> numbers(12);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = 0.5f * float(i);
  tensor.upload(numbers);
  CHECK(tensor.to_host() == numbers);
  const View<const float, Shape<dynamic, 3>, Cpu> whole = std::as_const(tensor).view();
  CHECK(whole.size() == 12);
  const auto x = ops::input(run, whole.slice(1, 3));
  CHECK(x.batch == 2);
  ops::output(run, ops::combine(run, 2, x, 0, x), back);
  CHECK(back.to_host() == std::vector<float>{3, 4, 5, 6, 7, 8});
  CHECK(tensor.to_host() == numbers);
  check_error([&] { ops::output(run, x, tensor); }, "batch", {});
  check_error([&] { ops::input(run, whole.slice(2, 2)); }, "batch", {});
}

TEST_CASE("an unbound model, and spans that do not fit, are errors") {
  Cpu cpu(1);
  Workspace workspace(cpu);
  const std::vector<float> weights(64, 0.0f);
  Run<Cpu> run(workspace, weights.data());
  const auto x = ops::normal<Sample>(run, 2, {1, Stream::user});
  check_error([&] { Model{}(run, x); }, "unbound", {});
  Tensor<float, Shape<4>, Cpu> tensor(cpu);
  check_error([&] { tensor.upload(std::vector<float>(4096)); }, "shape", {});
  check_error([&] { Tensor<float, Shape<4>, Cpu>(cpu, 2); }, "batch", {});
}
