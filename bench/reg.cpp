// REG at 256 x 256: convolutions at the shapes of Stable Diffusion's decoder by each algorithm, the autoencoder, SiT with and without the class token.
// All in f32, on as many threads as OpenMP offers (OMP_NUM_THREADS). Multiply-adds are those of the plain convolution, whatever Winograd's saves.
#include "ceiling.hpp"

#include <sfumato/models/autoencoder_kl.hpp>
#include <sfumato/models/sit.hpp>
#include <sfumato/tensor/tensor.hpp>
#include <sfumato/train/weights.hpp>

using namespace sfumato;
using Cpu = backend::Cpu;

namespace {

using VAE = StableDiffusionVAE<>;

struct Buffers {
  Array<Cpu, float> x, weight, bias, y;
  Buffers(Cpu& cpu, Index in, Index weights, Index biases, Index out) : x(cpu, in), weight(cpu, weights), bias(cpu, biases), y(cpu, out) {
    for (auto* each : {&x, &weight, &bias, &y}) Kernels<Cpu>::normal(cpu, Random{.seed = 1}, 0, each->size(), 0.1, each->data());
  }
};
enum class Pass { forward, input, weight };
template <int In, int Out, int Side, Pass What, bool MayTransform> void convolution(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  Run<Cpu> run(workspace, nullptr);
  constexpr Index places = Index{Side} * Side;
  Buffers b(cpu, places * In, 9 * In * Out, Out, places * Out);
  const ops::detail::ConvolutionPasses<Out, In, 9, false, MayTransform> passes{{Side, Side, 3, 3, 1, 1}, 1};
  const auto once = [&] {
    if constexpr (What == Pass::forward) passes.forward(run, static_cast<const float*>(b.x.data()), static_cast<const float*>(b.weight.data()), static_cast<const float*>(b.bias.data()), b.y.data());
    else if constexpr (What == Pass::input) passes.input_backward(run, static_cast<const float*>(b.y.data()), static_cast<const float*>(b.weight.data()), b.x.data(), false);
    else passes.weight_backward(run, static_cast<const float*>(b.x.data()), static_cast<const float*>(b.y.data()), b.weight.data());
  };
  once();
  for (auto _ : state) once();
  bench::report(state, double(places) * 9 * In * Out, cpu.threads());
}
template <int In, int Out, int Side> void add_convolution() {
  const std::string shape = std::to_string(In) + "-" + std::to_string(Out) + "x" + std::to_string(Side);
  const auto add = [&](const std::string& name, auto* f) { benchmark::RegisterBenchmark((name + "/" + shape).c_str(), f)->Unit(benchmark::kMillisecond)->UseRealTime(); };
  add("winograd", convolution<In, Out, Side, Pass::forward, true>);
  add("unfold", convolution<In, Out, Side, Pass::forward, false>);
  add("input_winograd", convolution<In, Out, Side, Pass::input, true>);
  add("input_unfold", convolution<In, Out, Side, Pass::input, false>);
  add("weight", convolution<In, Out, Side, Pass::weight, false>);
}
const bool added = [] {
  add_convolution<512, 512, 32>();
  add_convolution<512, 512, 64>();
  add_convolution<512, 512, 128>();
  add_convolution<512, 256, 128>();
  add_convolution<256, 256, 128>();
  add_convolution<256, 256, 256>();
  add_convolution<256, 128, 256>();
  add_convolution<128, 128, 256>();
  add_convolution<64, 64, 256>();
  add_convolution<32, 32, 64>();
  add_convolution<16, 16, 64>();
  return true;
}();
void first(benchmark::State& state) { convolution<4, 512, 32, Pass::forward, true>(state); }
void last(benchmark::State& state) { convolution<128, 3, 256, Pass::forward, true>(state); }
BENCHMARK(first)->Name("unfold/4-512x32")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(last)->Name("fold/128-3x256")->Unit(benchmark::kMillisecond)->UseRealTime();

void group_norm(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<layer::GroupNorm<128, 32>, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const auto x = ops::normal<Shape<dynamic, 256 * 256, 128>>(run, 1, {1, Stream::user});
  for (auto _ : state) weights.model()(run, x);
  state.counters["GB/s"] = benchmark::Counter(3.0 * double(x.size()) * sizeof(float), benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::OneK::kIs1000);
}
BENCHMARK(group_norm)->Unit(benchmark::kMillisecond)->UseRealTime();

template <class Half, class In> void autoencoder(benchmark::State& state) {
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<VAE, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const auto x = ops::normal<In>(run, 1, {1, Stream::user});
  for (auto _ : state) {
    if constexpr (std::is_same_v<Half, VAE::Decode>) weights.model().decode(run, x);
    else weights.model().encode(run, x);
  }
  bench::report(state, double(cost_of<Half>(1).macs), cpu.threads());
  state.counters["peak_MiB"] = double(workspace.pool().peak_bytes()) / 0x1p20;
}
BENCHMARK(autoencoder<VAE::Encode, VAE::ImageShape>)->Name("vae_encode")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(autoencoder<VAE::Decode, VAE::LatentShape>)->Name("vae_decode")->Unit(benchmark::kMillisecond)->UseRealTime();

template <class Model> void forward(benchmark::State& state) {
  const Index batch = state.range(0);
  Cpu cpu;
  Workspace workspace(cpu);
  Weights<Model, Cpu> weights(cpu, 1);
  Run<Cpu> run(workspace, weights.values());
  const auto z = ops::normal<typename Model::ImageShape>(run, batch, {1, Stream::user});
  const std::vector<double> times(static_cast<std::size_t>(batch), 0.5);
  const std::vector<int> labels(static_cast<std::size_t>(batch), 7);
  for (auto _ : state) weights.model()(run, z, std::span<const double>(times), std::span<const int>(labels));
  bench::report(state, double(cost_of<Model>(batch).macs), cpu.threads());
}
BENCHMARK(forward<SiT_B_2<>>)->Name("SiT-B/2")->Arg(4)->ArgName("batch")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(forward<REG_B_2<>>)->Name("SiT-B/2+REG")->Arg(4)->ArgName("batch")->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
