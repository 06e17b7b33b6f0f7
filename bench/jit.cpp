// JiT-B/16 at 256 x 256: one block, the forward pass, a whole training step, the sampler. All in f32, on as many threads as
// OpenMP offers (OMP_NUM_THREADS).
#include "ceiling.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

using namespace sfumato;
using Cpu = backend::Cpu;

namespace {

using Objective = FlowObjective<Space::x, Space::v>;
using Image = JiT_B_16::ImageShape;

struct Noise {
  Index size() const { return 64; }
  int load(Index i, bool, float* out) const {
    for (Index j = 0; j < Image::row; ++j) out[j] = 0.01f * static_cast<float>((i * 31 + j) % 199) - 1;
    return static_cast<int>(i);
  }
};

/// One block of the trunk alone, after the context has joined: 32 class tokens, which are not rotated, and 256 patches.
struct OneBlock {
  JiTTrunkB::BlockType block;
  static constexpr void parameters(auto& self, auto&& visit) { visit("", self.block); }
  template <class Ctx, AnyValue X, AnyValue C> constexpr auto operator()(Ctx& ctx, const X& x, const C& activated) const {
    return block(ctx, x, activated, std::integral_constant<int, JiTTrunkB::context_tokens>{}, 0, 0);
  }
};

void block_forward(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<OneBlock, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.data());
  const auto x = ops::normal<Shape<dynamic, 288, 768>>(run, 4, {1, Stream::user});
  const auto c = ops::normal<Shape<dynamic, 768>>(run, 4, {2, Stream::user});
  for (auto _ : state) weights.model()(run, x, c);
  bench::report(state, double(cost_of<OneBlock, Shape<dynamic, 288, 768>, Shape<dynamic, 768>>(4).macs), cpu.threads());
}
BENCHMARK(block_forward)->Unit(benchmark::kMillisecond)->UseRealTime();

void forward(benchmark::State& state) {
  const Index batch = state.range(0);
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<JiT_B_16, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.data());
  const auto z = ops::normal<Image>(run, batch, {1, Stream::user});
  const std::vector<double> times(static_cast<std::size_t>(batch), 0.5);
  const std::vector<int> labels(static_cast<std::size_t>(batch), 7);
  weights.model()(run, z, std::span<const double>(times), std::span<const int>(labels));
  const Index before = workspace.allocations();
  for (auto _ : state) weights.model()(run, z, std::span<const double>(times), std::span<const int>(labels));
  bench::report(state, double(cost_of<JiT_B_16>(batch).macs), cpu.threads());
  state.counters["allocations"] = double(workspace.allocations() - before);
  state.counters["peak_MiB"] = double(workspace.pool().peak_bytes()) / 0x1p20;
}
BENCHMARK(forward)->Arg(1)->Arg(4)->ArgName("batch")->Unit(benchmark::kMillisecond)->UseRealTime();

void training_step(benchmark::State& state) {
  Cpu cpu;
  TrainOptions options;
  options.batch = state.range(0);
  Trainer<JiT_B_16, Image, Objective, Cpu> trainer(cpu, Objective{}, options);
  const Noise data;
  trainer.step(data);
  const Index before = trainer.workspace().allocations();
  for (auto _ : state) trainer.step(data);
  bench::report(state, 3.0 * double(cost_of<JiT_B_16>(options.batch).macs), cpu.threads());
  state.counters["allocations"] = double(trainer.workspace().allocations() - before);
  // Six flat buffers: weights, gradients, two moments, two averages; then activations and their gradients.
  const double state_bytes = 6.0 * 4 * double(trainer.weights().size());
  state.counters["peak_GiB"] = (state_bytes + double(trainer.workspace().pool().held_bytes())) / 0x1p30;
}
BENCHMARK(training_step)->Arg(8)->ArgName("batch")->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

// Three steps, the published method, guided throughout: Heun, Heun, Euler. Five velocities of two passes each.
void sampler(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<JiT_B_16, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.data());
  const std::vector<int> labels{207, 360};
  const SamplerOptions options{.steps = 3, .guidance = 3};
  for (auto _ : state) sample<Image>(run, weights.model(), Objective{}, std::span<const int>(labels), 0, 0, options);
  bench::report(state, 5 * 2 * double(cost_of<JiT_B_16>(2).macs), cpu.threads());
}
BENCHMARK(sampler)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
