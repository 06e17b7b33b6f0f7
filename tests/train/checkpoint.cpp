// Checkpoints: what goes in comes out, a resumed run is the uninterrupted one, and what does not fit is named.
#include "train/support.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <sstream>

using namespace train_test;

namespace {

// A log's rows without their last column, the speed.
std::string rows(const std::filesystem::path& path) {
  std::istringstream in(io_test::read_all(path));
  std::string out;
  for (std::string line; std::getline(in, line);) out += line.substr(0, line.rfind(',')) + "\n";
  return out;
}

using Small = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>, Head<Linear>, Bottleneck<8>>;

template <class M> std::vector<float> elements(Weights<M, Cpu>& weights) {
  std::vector<float> out(static_cast<std::size_t>(weights.size()));
  weights.values().download(out);
  return out;
}

void save_small(const std::filesystem::path& path, Weights<Small, Cpu>& weights, const std::string& prefix) {
  save_buffers<Cpu, float>(path, parameter_table(weights.model()), {{prefix, &weights.values()}}, {});
}

}  // namespace

TEST_CASE("a checkpoint holds all of a run") {
  const TemporaryDirectory folder;
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  for (int i = 0; i < 3; ++i) trainer.step(Waves{});
  save_checkpoint(folder / "a.safetensors", trainer);
  TinyTrainer<> other(device, {}, tiny_options());
  CHECK(state(other) != state(trainer));
  load_checkpoint(folder / "a.safetensors", other);
  CHECK(state(other) == state(trainer));
  CHECK(other.step_count() == 3);

  const io::SafetensorsFile file(folder / "a.safetensors");
  CHECK(file.metadata().at("step") == "3");
  CHECK(file.names().size() == 5 * parameter_table(trainer.model()).size());
  for (const char* name : {"model.blocks.0.attn.qkv.weight", "model_ema1.pos_embed", "model_ema2.final_layer.linear.bias", "optimizer.m.y_embedder.embedding_table.weight", "optimizer.v.x_embedder.proj1.weight"})
    CHECK(file.contains(name));
  CHECK(file.at("model.x_embedder.proj1.weight").shape == std::vector<Index>{8, 1, 4, 4});

  // Its slow average is what a model is loaded with.
  Weights<Model, Cpu> weights(device);
  load_weights(folder / "a.safetensors", weights);
  CHECK(elements(weights) == state(trainer).at("model_ema1"));
}

TEST_CASE("a run that is interrupted and resumed is the uninterrupted one, bit for bit") {
  const TemporaryDirectory folder;
  const auto options = [&](const std::string& name) {
    return LoopOptions{.steps = 12, .checkpoint = folder / (name + ".safetensors"), .checkpoint_every = 5, .log = folder / (name + ".csv"), .report_every = 1};
  };
  Cpu device(1);
  TinyTrainer<> whole(device, {}, tiny_options());
  int reports = 0;
  CHECK(run_training(whole, Waves{}, options("whole"), [&](const Progress& p) { CHECK(p.last.step == ++reports); }) == Ended::finished);
  CHECK(reports == 12);
  const std::string expected = io_test::read_all(folder / "whole.safetensors"), log = rows(folder / "whole.csv");
  CHECK(std::count(log.begin(), log.end(), '\n') == 13);

  SUBCASE("by SIGINT") {
    const auto before = std::signal(SIGINT, SIG_DFL);
    TinyTrainer<> first(device, {}, tiny_options());
    CHECK(run_training(first, Waves{}, options("parts"), [](const Progress& p) { if (p.last.step == 7) std::raise(SIGINT); }) == Ended::interrupted);
    const bool restored = std::signal(SIGINT, before) == SIG_DFL;
    CHECK(restored);
    CHECK(first.step_count() >= 7);
    CHECK(first.step_count() < 12);
    TinyTrainer<> second(device, {}, tiny_options());
    load_checkpoint(folder / "parts.safetensors", second);
    CHECK(second.step_count() == first.step_count());
    CHECK(run_training(second, Waves{}, options("parts"), [](const Progress&) {}) == Ended::finished);
    CHECK(state(second) == state(whole));
  }
  SUBCASE("by an error, the log being ahead of the checkpoint") {
    TinyTrainer<> first(device, {}, tiny_options());
    CHECK_THROWS_AS(run_training(first, Waves{}, options("parts"), [](const Progress& p) { if (p.last.step == 8) throw Error("planted", "here"); }), Error);
    TinyTrainer<> second(device, {}, tiny_options());
    load_checkpoint(folder / "parts.safetensors", second);
    CHECK(second.step_count() == 5);
    CHECK(run_training(second, Waves{}, options("parts"), [](const Progress&) {}) == Ended::finished);
    CHECK(state(second) == state(whole));
  }
  SUBCASE("by data that are no numbers") {
    TinyTrainer<> first(device, {}, tiny_options());
    const Waves spoiled{.spoiled_from = 8 * 8};
    check_error([&] { run_training(first, spoiled, options("parts"), [](const Progress&) {}); }, "non-finite-loss", {"step 9"});
    TinyTrainer<> second(device, {}, tiny_options());
    load_checkpoint(folder / "parts.safetensors", second);
    CHECK(second.step_count() == 5);
    CHECK(run_training(second, Waves{}, options("parts"), [](const Progress&) {}) == Ended::finished);
  }
  SUBCASE("by its time limit") {
    TinyTrainer<> first(device, {}, tiny_options());
    auto limited = options("parts");
    limited.seconds = 1e-9;
    CHECK(run_training(first, Waves{}, limited, [](const Progress& p) { CHECK(p.seconds_left == 0); }) == Ended::out_of_time);
    CHECK(first.step_count() == 1);
    TinyTrainer<> second(device, {}, tiny_options());
    load_checkpoint(folder / "parts.safetensors", second);
    CHECK(run_training(second, Waves{}, options("parts"), [](const Progress&) {}) == Ended::finished);
  }
  CHECK(io_test::read_all(folder / "parts.safetensors") == expected);
  CHECK(rows(folder / "parts.csv") == log);
}

TEST_CASE("loop options that mean nothing are errors, and a finished run does nothing") {
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  const auto ignore = [](const Progress&) {};
  check_error([&] { run_training(trainer, Waves{}, {.steps = 0}, ignore); }, "train-options", {"found 0"});
  check_error([&] { run_training(trainer, Waves{}, {.steps = 1, .report_every = 0}, ignore); }, "train-options", {"report_every must be positive, found 0"});
  check_error([&] { run_training(trainer, Waves{}, {.steps = 1, .checkpoint_every = -2}, ignore); }, "train-options", {"checkpoint_every must be positive, found -2"});
  check_error([&] { run_training(trainer, Waves{}, {.steps = 1, .seconds = -1}, ignore); }, "train-options", {"time limit", "found -1"});
  check_error([&] { run_training(trainer, Waves{}, {.steps = 1, .log = "/no/such/folder/log.csv"}, ignore); }, "write-failed", {"/no/such/folder/log.csv"});
  trainer.resume_at(5);
  CHECK(run_training(trainer, Waves{}, {.steps = 5}, ignore) == Ended::finished);
  CHECK(trainer.step_count() == 5);
}

TEST_CASE("a model with an auxiliary classifier trains, and resumes bit for bit") {
  using Helped = JiT<ImagePatches<8, 1, 4, 3>, Trunk, Head<Linear>, Bottleneck<8>, AuxiliaryClassifier<1>>;
  const TemporaryDirectory folder;
  Cpu device(2);
  const auto make = [&] { return Trainer<Helped, Model::ImageShape, Objective, Cpu>(device, {}, tiny_options()); };
  auto whole = make(), first = make(), second = make();
  double before = 0, after = 0;
  for (int i = 0; i < 200; ++i) {
    const double loss = whole.step(Waves{}).loss;
    (i < 20 ? before : after) += i < 20 || i >= 180 ? loss : 0;
  }
  CHECK(after < 0.9 * before);
  for (int i = 0; i < 10; ++i) first.step(Waves{});
  save_checkpoint(folder / "a.safetensors", first);
  CHECK(io::SafetensorsFile(folder / "a.safetensors").contains("model.aux_classifier.weight"));
  load_checkpoint(folder / "a.safetensors", second);
  for (int i = 0; i < 190; ++i) second.step(Waves{});
  CHECK(state(second) == state(whole));
}

TEST_CASE("weights that are no numbers are not saved over the last good ones") {
  const TemporaryDirectory folder;
  Cpu device(1);
  auto options = tiny_options();
  TinyTrainer<> good(device, {}, options);
  const LoopOptions loop{.steps = 1, .checkpoint = folder / "a.safetensors"};
  CHECK(run_training(good, Waves{}, loop, [](const Progress&) {}) == Ended::finished);
  const std::string saved = io_test::read_all(folder / "a.safetensors");
  options.learning_rate = 1e39;
  TinyTrainer<> wild(device, {}, options);
  check_error([&] { run_training(wild, Waves{}, loop, [](const Progress&) {}); }, "non-finite-weights", {"step 1"});
  CHECK(io_test::read_all(folder / "a.safetensors") == saved);
}

TEST_CASE("a log that cannot be written is an error with the reason") {
  const TemporaryDirectory folder;
  const std::string message = io_test::in_child([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{8192, 8192};  // enough for what libomp writes to shared memory after a fork
    ::setrlimit(RLIMIT_FSIZE, &limit);
    Cpu device(1);
    TinyTrainer<> trainer(device, {}, tiny_options());
    run_training(trainer, Waves{}, {.steps = 400, .log = folder / "log.csv", .report_every = 1}, [](const Progress&) {});
    return "no error";
  });
  INFO(message);
  CHECK(message.starts_with("[log]"));
  CHECK(message.find("log.csv: File too large") != std::string::npos);
}

TEST_CASE("a checkpoint of another run is refused, and nothing is changed") {
  const TemporaryDirectory folder;
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  trainer.step(Waves{});
  save_checkpoint(folder / "a.safetensors", trainer);
  auto options = tiny_options();
  options.seed = 99;
  TinyTrainer<> other_seed(device, {}, options);
  const auto before = state(other_seed);
  check_error([&] { load_checkpoint(folder / "a.safetensors", other_seed); }, "checkpoint-settings", {"seed: 3, this run has 99"});
  CHECK(state(other_seed) == before);
  options = tiny_options();
  options.batch = 4;
  TinyTrainer<> other_batch(device, {}, options);
  check_error([&] { load_checkpoint(folder / "a.safetensors", other_batch); }, "checkpoint-settings", {"batch: 8, this run has 4"});
  TinyTrainer<> other_objective(device, {.noise_scale = 0.5, .label_dropout = 0.2}, tiny_options());
  const auto unchanged = state(other_objective);
  check_error([&] { load_checkpoint(folder / "a.safetensors", other_objective); }, "checkpoint-settings",
              {"objective.noise_scale: 1, this run has 0.5", "objective.label_dropout: 0.1, this run has 0.2"});
  CHECK(state(other_objective) == unchanged);
  Trainer<Model, Model::ImageShape, FlowObjective<Space::x, Space::eps, UniformTime>, Cpu> other_loss(device, {}, tiny_options());
  check_error([&] { load_checkpoint(folder / "a.safetensors", other_loss); }, "checkpoint-settings",
              {"objective.loss: v, this run has eps", "objective.times: logit-normal, this run has uniform"});
  // An objective without a name is not taken for this one.
  struct Nameless : Objective {
    void for_each_option() const {}  // hides the objective's own
  };
  Trainer<Model, Model::ImageShape, Nameless, Cpu> nameless(device, {}, tiny_options());
  check_error([&] { load_checkpoint(folder / "a.safetensors", nameless); }, "checkpoint-settings", {"objective: flow, this run has unnamed", "objective.loss: v, this run has none"});
  Trainer<Model, Model::ImageShape, Objective, Cpu, double> wide(device, {}, tiny_options());
  check_error([&] { load_checkpoint(folder / "a.safetensors", wide); }, "checkpoint-settings", {"element: F32, this run has F64"});
  load_checkpoint(folder / "a.safetensors", other_objective, Resume::with_changes);
  CHECK(state(other_objective) == state(trainer));
  CHECK(other_objective.step(Waves{.count = 7}).step == 2);
  TinyTrainer<> other_data(device, {}, tiny_options());
  load_checkpoint(folder / "a.safetensors", other_data);
  check_error([&] { other_data.step(Waves{.count = 7}); }, "dataset", {"began with 20 training samples, found 7"});

  const auto table = parameter_table(trainer.model());
  std::vector<std::pair<std::string, const Array<Cpu, float>*>> buffers;
  trainer.for_each_buffer([&](const char* name, const Array<Cpu, float>& array) { buffers.emplace_back(name, &array); });
  TinyTrainer<> fresh(device, {}, tiny_options());
  const auto initial = state(fresh);
  auto metadata = io::SafetensorsFile(folder / "a.safetensors").metadata();
  for (const char* step : {"", "12x", "-1", "99999999999999999999"}) {
    metadata["step"] = step;
    save_buffers<Cpu, float>(folder / "b.safetensors", table, buffers, metadata);
    check_error([&] { load_checkpoint(folder / "b.safetensors", fresh); }, "checkpoint-metadata", {"step \"", step});
    CHECK(state(fresh) == initial);
  }
  metadata["step"] = "1";
  save_buffers<Cpu, float>(folder / "b.safetensors", table, {buffers[0]}, metadata);
  check_error([&] { load_checkpoint(folder / "b.safetensors", fresh); }, "checkpoint-mismatch", {"missing: model_ema1.pos_embed (1, 4, 16)", "missing: optimizer.v.pos_embed (1, 4, 16)"});
  save_buffers<Cpu, float>(folder / "b.safetensors", table, buffers, {});
  check_error([&] { load_checkpoint(folder / "b.safetensors", fresh); }, "checkpoint-metadata", {"no metadata \"step\"", "not a training checkpoint"});
  CHECK(state(fresh) == initial);
}

TEST_CASE("weights load under every prefix") {
  const TemporaryDirectory folder;
  Cpu device(1);
  Weights<Small, Cpu> saved(device, 1);
  for (const std::string prefix : {"", "net", "model_ema1", "model_ema1.net", "model"}) {
    save_small(folder / "w.safetensors", saved, prefix);
    Weights<Small, Cpu> loaded(device, 2);
    CHECK(elements(loaded) != elements(saved));
    load_weights(folder / "w.safetensors", loaded);
    CHECK(elements(loaded) == elements(saved));
  }
  save_weights(folder / "w.safetensors", saved);
  CHECK(io::SafetensorsFile(folder / "w.safetensors").contains("pos_embed"));

  // The published files hold "net." and nothing else; the slow average goes before the weights.
  Weights<Small, Cpu> average(device, 5), loaded(device, 2);
  save_buffers<Cpu, float>(folder / "w.safetensors", parameter_table(saved.model()), {{"model", &saved.values()}, {"model_ema1", &average.values()}}, {});
  load_weights(folder / "w.safetensors", loaded);
  CHECK(elements(loaded) == elements(average));
}

TEST_CASE("weights of another element type load, rounded") {
  const TemporaryDirectory folder;
  Cpu device(1);
  Weights<Small, Cpu, double> wide(device, 1);
  save_weights(folder / "w.safetensors", wide);
  Weights<Small, Cpu> single(device), initial(device, 1);
  load_weights(folder / "w.safetensors", single);
  CHECK(elements(single) == elements(initial));
}

TEST_CASE("every missing, extra and mis-shaped tensor is listed, with both shapes") {
  const TemporaryDirectory folder;
  Cpu device(1);
  Weights<Small, Cpu> weights(device, 1);
  const auto table = parameter_table(weights.model());
  const auto before = elements(weights);
  for (const std::string prefix : {"", "net."}) {
    std::vector<io::TensorToWrite> tensors;
    const std::vector<float> zeros(10'000);
    for (const ParameterInfo& p : table) {
      if (p.name == "t_embedder.mlp.0.bias" || p.name == "blocks.0.norm1.weight") continue;
      auto shape = p.shape;
      if (p.name == "final_layer.linear.weight") shape = {16, 15};
      if (p.name == "y_embedder.embedding_table.weight") shape = {11, 16};
      tensors.push_back({prefix + p.name, io::Dtype::f32, shape, zeros.data()});
    }
    tensors.push_back({prefix + "rope.table", io::Dtype::f32, {2, 3}, zeros.data()});
    tensors.push_back({prefix + "blocks.1.norm1.weight", io::Dtype::f32, {16}, zeros.data()});
    tensors.push_back({"stray", io::Dtype::f32, {5}, zeros.data()});
    io::write_safetensors(folder / "w.safetensors", tensors, {});
    check_error([&] { load_weights(folder / "w.safetensors", weights); }, "checkpoint-mismatch",
                {(folder / "w.safetensors").string(), "missing: " + prefix + "t_embedder.mlp.0.bias (16)", "missing: " + prefix + "blocks.0.norm1.weight (16)",
                 "shape: " + prefix + "final_layer.linear.weight expected (16, 16), found (16, 15)",
                 "shape: " + prefix + "y_embedder.embedding_table.weight expected (4, 16), found (11, 16)", "extra: " + prefix + "rope.table (2, 3)",
                 "extra: " + prefix + "blocks.1.norm1.weight (16)", "extra: stray (5)"});
    CHECK(elements(weights) == before);
  }
}

TEST_CASE("a disk that is full while a checkpoint is saved leaves the old one") {
  const TemporaryDirectory folder;
  const auto path = folder / "a.safetensors";
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  trainer.step(Waves{});
  save_checkpoint(path, trainer);
  const std::string old = io_test::read_all(path);
  const std::string message = io_test::in_child([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{old.size() / 2, old.size() / 2};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    run_training(trainer, Waves{}, {.steps = 4, .checkpoint = path, .checkpoint_every = 1}, [](const Progress&) {});
    return "no error";
  });
  INFO(message);
  CHECK(message.starts_with("[write-failed]"));
  CHECK(message.find(path.string()) != std::string::npos);
  CHECK(io_test::read_all(path) == old);
  CHECK(folder.entries() == 1);
  TinyTrainer<> resumed(device, {}, tiny_options());
  load_checkpoint(path, resumed);
  CHECK(resumed.step_count() == 1);
}
