// DSD at 256 x 256 in f32: each use of the smallest published size, and a training step of all of them, with and without what is watched for a collapse. On as many threads as
// OpenMP offers (OMP_NUM_THREADS).
#include "ceiling.hpp"

#include <sfumato/tensor/tensor.hpp>
#include <sfumato/train/dsd_trainer.hpp>
#include <sfumato/train/weights.hpp>

#include <cmath>

using namespace sfumato;
using Cpu = backend::Cpu;

namespace {

using Model = DSD_42M<>;
constexpr Index batch = 4;

struct Waves {
  Index size() const { return 1000; }
  template <class E> int load(Index i, bool, E* out) const {
    for (Index k = 0; k < Model::ImageShape::row; ++k) out[k] = static_cast<E>(std::sin(1e-3 * double(k) * double(1 + i % 7)));
    return int(i % Model::classes);
  }
};

template <class Use> void use(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<Model, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const Model& model = weights.model();
  const auto images = ops::normal<Model::ImageShape>(run, batch, {1, Stream::user});
  const auto latents = ops::normal<Model::LatentShape>(run, batch, {1, Stream::user});
  const std::vector<double> times(std::size_t(batch), 0.5);
  const std::vector<int> labels(std::size_t(batch), 7);
  for (auto _ : state) {
    if constexpr (std::is_same_v<Use, Model::Encode>) model.encode(run, images);
    else if constexpr (std::is_same_v<Use, Model::Decode>) model.decode(run, latents);
    else model(run, latents, std::span<const double>(times), std::span<const int>(labels));
  }
  bench::report(state, double(cost_of<Use>(batch).macs), cpu.threads());
}
BENCHMARK(use<Model::Encode>)->Name("encode")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(use<Model::Decode>)->Name("decode")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(use<Model::Denoise>)->Name("denoise")->Unit(benchmark::kMillisecond)->UseRealTime();

// Two views are encoded, and one by the averaged weights; one is decoded, one denoised. A backward pass counts as two forward ones; the velocity head is not counted.
void training_step(benchmark::State& state) {
  Cpu cpu;
  using Objective = DSDObjective<SelfDistillation<>, Cpu>;
  DSDTrainer<Model, Objective, Cpu> trainer(cpu, {.view = {.mask = 0.5}}, {.batch = batch});
  trainer.watch().every = state.range(0);
  const Waves data;
  trainer.step(data);
  const Index before = trainer.workspace().allocations();
  for (auto _ : state) trainer.step(data);
  bench::report(state, 7.0 * double(cost_of<Model::Encode>(batch).macs) + 3.0 * double(cost_of<Model::Decode>(batch).macs + cost_of<Model::Denoise>(batch).macs), cpu.threads());
  state.counters["allocations"] = double(trainer.workspace().allocations() - before);
}
BENCHMARK(training_step)->Arg(1)->Arg(1000)->ArgName("watched_every")->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

}  // namespace
