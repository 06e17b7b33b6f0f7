// RAE at 256 x 256: encoder, DiT-DH, decoder, a step of each training, the sampler; convolutions at the discriminator's and at VGG16's shapes.
// All in f32, on as many threads as OpenMP offers (OMP_NUM_THREADS).
#include "ceiling.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/flow/schedule.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/models/lpips.hpp>
#include <sfumato/train/adversary.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

using namespace sfumato;
using Cpu = backend::Cpu;

namespace {

using Models = RAE<DINOv2_B<>, DiTDH_S<>, ViTDecoder_B<>>;
using Latent = Models::LatentShape;
using Image = Models::Decoder::ImageShape;
using Shift = DimensionShift<Latent>;
using Objective = FlowObjective<Space::v, Space::v, Shifted<TruncatedLogitNormal<>, Shift>>;

template <class S> struct Waves {
  Index size() const { return 64; }
  int load(Index i, bool, float* out) const {
    for (Index j = 0; j < S::row; ++j) out[j] = 0.01f * static_cast<float>((i * 31 + j) % 199) - 1;
    return static_cast<int>(i);
  }
};

constexpr Index encoder_macs(Index batch) {
  Count ctx;
  Models::Encoder{}.encode(ctx, Count::input<Image>(batch));
  return ctx.cost.macs;
}
constexpr Index head_macs(Index batch) {
  Count ctx;
  layer::DiscriminatorHead<RAEDiscriminator::width, 9>{}(ctx, Count::input<Shape<dynamic, RAEDiscriminator::tokens, RAEDiscriminator::width>>(batch));
  return ctx.cost.macs * RAEDiscriminator::heads_count;
}
constexpr Index vgg_macs(Index batch) {
  Count ctx;
  VGG16<>{}(ctx, Count::input<Image>(batch));
  return ctx.cost.macs;
}

void apply(auto& ctx, const Models::Encoder& encoder, const auto& images) { encoder.encode(ctx, images); }
void apply(auto& ctx, const Models::Decoder& decoder, const auto& latents) { decoder.decode(ctx, latents); }

template <class Model, class In> void frozen(benchmark::State& state) {
  const Index batch = state.range(0);
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<Model, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const auto x = ops::normal<In>(run, batch, {1, Stream::user});
  for (auto _ : state) apply(run, weights.model(), x);
  Count ctx;
  apply(ctx, Model{}, Count::input<In>(batch));
  bench::report(state, double(ctx.cost.macs), cpu.threads());
}
BENCHMARK(frozen<Models::Encoder, Image>)->Name("encoder")->Arg(4)->ArgName("batch")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(frozen<Models::Decoder, Latent>)->Name("decoder")->Arg(4)->ArgName("batch")->Unit(benchmark::kMillisecond)->UseRealTime();

void forward(benchmark::State& state) {
  const Index batch = state.range(0);
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<Models::Diffusion, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const auto z = ops::normal<Latent>(run, batch, {1, Stream::user});
  const std::vector<double> times(static_cast<std::size_t>(batch), 0.5);
  const std::vector<int> labels(static_cast<std::size_t>(batch), 7);
  const auto pass = [&] { weights.model()(run, z, std::span<const double>(times), std::span<const int>(labels)); };
  pass();
  const Index before = workspace.allocations();
  for (auto _ : state) pass();
  bench::report(state, double(cost_of<Models::Diffusion>(batch).macs), cpu.threads());
  state.counters["allocations"] = double(workspace.allocations() - before);
  state.counters["peak_MiB"] = double(workspace.pool().peak_bytes()) / 0x1p20;
}
BENCHMARK(forward)->Arg(1)->Arg(4)->ArgName("batch")->Unit(benchmark::kMillisecond)->UseRealTime();

void training_step(benchmark::State& state) {
  Cpu cpu;
  const TrainOptions options{.batch = state.range(0)};
  Trainer<Models::Diffusion, Latent, Objective, Cpu> trainer(cpu, Objective{}, options);
  const Waves<Latent> data;
  trainer.step(data);
  const Index before = trainer.workspace().allocations();
  for (auto _ : state) trainer.step(data);
  bench::report(state, 3.0 * double(cost_of<Models::Diffusion>(options.batch).macs), cpu.threads());
  state.counters["allocations"] = double(trainer.workspace().allocations() - before);
}
BENCHMARK(training_step)->Arg(8)->ArgName("batch")->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

// Three steps, guided throughout: two passes each.
void sampler(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<Models::Diffusion, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const std::vector<int> labels{207, 360};
  const SamplerOptions options{.steps = 3, .guidance = 1.5};
  for (auto _ : state) sample<Latent, Euler, ShiftedGrid<Shift>>(run, weights.model(), Objective{}, std::span<const int>(labels), 0, 0, options);
  bench::report(state, 3 * 2 * double(cost_of<Models::Diffusion>(2).macs), cpu.threads());
}
BENCHMARK(sampler)->Unit(benchmark::kMillisecond)->UseRealTime();

// Decoder and discriminator, a step each, LPIPS and the adversary heeded. A backward pass counts as two forward ones, as one through what is frozen.
void decoder_step(benchmark::State& state) {
  Cpu cpu;
  const Weights<Models::Encoder, Cpu> frozen(cpu, 1);
  const Weights<LPIPS<>, Cpu> lpips(cpu, 2);
  const Weights<RAEDiscriminator::Network, Cpu> dino(cpu, 3);
  using T = DecoderTrainer<Models::Encoder, Models::Decoder, RAEDiscriminator, PerceptualDistance<LPIPS<>, Cpu, float>, Cpu>;
  const TrainOptions options{.batch = state.range(0)};
  T trainer(cpu, {.encoder = &frozen, .distance = {&lpips}}, dino, options, {}, {.train = options});
  const Waves<Image> data;
  trainer.step(data);
  const auto held = [&] { return trainer.workspace().allocations() + trainer.discriminator().workspace().allocations(); };
  const Index before = held();
  for (auto _ : state) trainer.step(data);
  const Index n = options.batch, network = cost_of<RAEDiscriminator::Network>(n).macs;
  const double decoders = 2.0 * double(encoder_macs(n)) + (3.0 + 1) * double(cost_of<Models::Decoder, Latent>(n).macs);
  const double judges = (2.0 + 1) * double(vgg_macs(n)) + (2.0 + 2) * double(network) + (2.0 + 2 * 3) * double(head_macs(n));
  bench::report(state, decoders + judges, cpu.threads());
  state.counters["allocations"] = double(held() - before);
}
BENCHMARK(decoder_step)->Arg(2)->ArgName("batch")->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

template <class Layer> struct OneConvolution {
  Layer layer;
  static constexpr void parameters(auto& self, auto&& visit) { visit("", self.layer); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return layer(ctx, x); }
};
template <class Layer, class In> void convolution(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  using Model = OneConvolution<Layer>;
  Weights<Model, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const auto x = ops::normal<In>(run, 2, {1, Stream::user});
  for (auto _ : state) weights.model()(run, x);
  bench::report(state, double(cost_of<Model, In>(2).macs), cpu.threads());
}
BENCHMARK(convolution<layer::SpectralConvolution<384, 384, 9>, Shape<dynamic, 784, 384>>)->Name("circular_convolution")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(convolution<layer::SpectralConvolution<384, 384>, Shape<dynamic, 784, 384>>)->Name("point_convolution")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(convolution<layer::VGGConvolution<64, 64>, Shape<dynamic, 256 * 256, 64>>)->Name("vgg_convolution/first")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(convolution<layer::VGGConvolution<512, 512>, Shape<dynamic, 16 * 16, 512>>)->Name("vgg_convolution/last")->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
