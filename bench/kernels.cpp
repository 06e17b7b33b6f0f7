// CPU kernels at the shapes of JiT-B/16 (256 x 256 pixels: 288 tokens of width 768) and of the Fashion-MNIST example.
#include "ceiling.hpp"

using namespace sfumato;
using Cpu = backend::Cpu;
using K = Kernels<Cpu>;

namespace {

// Nominal operations per element of the result, counted in the formula, not in the instructions: each +, -, *, /, square root and
// exponential is one. What is done once per row or per call is left out.
constexpr double modulated_rms_norm_operations = 7;  // x^2 and its sum: 2; x * rstd * weight: 2; + y * scale: 2; + shift: 1
constexpr double swiglu_operations = 5;              // gate / (1 + exp(-gate)) * value
constexpr double adamw_two_ema_operations = 22;      // scaled gradient: 1; first moment: 3; second: 4; decay: 1; update: 7; averages: 3 each

// Arguments: rows, in, out, threads.
void gemm_forward(benchmark::State& state) {
  const Index m = state.range(0), k = state.range(1), n = state.range(2);
  Cpu cpu(static_cast<int>(state.range(3)));
  const auto x = bench::numbers(m * k), w = bench::numbers(n * k), b = bench::numbers(n);
  std::vector<float> y(static_cast<std::size_t>(m * n));
  for (auto _ : state)
    K::matmul(cpu, {.m = m, .n = n, .k = k, .a_row = k, .a_col = 1, .b_row = 1, .b_col = k, .c_row = n}, x.data(), w.data(), y.data(), false, b.data(), Activation::none);
  bench::report(state, double(m * k * n), cpu.threads());
}
void gemm_weight_gradient(benchmark::State& state) {
  const Index m = state.range(0), k = state.range(1), n = state.range(2);
  Cpu cpu(static_cast<int>(state.range(3)));
  const auto x = bench::numbers(m * k), d_y = bench::numbers(m * n);
  std::vector<float> d_w(static_cast<std::size_t>(k * n));
  for (auto _ : state)
    K::matmul(cpu, {.m = n, .n = k, .k = m, .a_row = 1, .a_col = n, .b_row = k, .b_col = 1, .c_row = k}, d_y.data(), x.data(), d_w.data(), true, nullptr, Activation::none);
  bench::report(state, double(m * k * n), cpu.threads());
}
void gemm_shapes(benchmark::internal::Benchmark* b) {
  for (const int threads : {1, 2})
    for (const auto& [m, k, n] : {std::array{1152, 768, 2304}, std::array{1152, 768, 768}, std::array{1152, 768, 4096}, std::array{1152, 2048, 768},
                                  std::array{8, 768, 4608}, std::array{1280, 256, 768}, std::array{1280, 256, 1364}})
      b->Args({m, k, n, threads});
  b->ArgNames({"rows", "in", "out", "threads"})->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK(gemm_forward)->Apply(gemm_shapes);
BENCHMARK(gemm_weight_gradient)->Apply(gemm_shapes);

// Arguments: batch, tokens, heads, head width, threads.
AttentionShape attention_shape(const benchmark::State& state) {
  const Index batch = state.range(0), tokens = state.range(1), heads = state.range(2), dim = state.range(3), width = heads * dim;
  return {batch, heads, tokens, tokens, dim, 2 * width * tokens, 2 * width, 2 * width * tokens, 2 * width, 3 * width * tokens, 3 * width, width * tokens, width, 0.125};
}
void attention(benchmark::State& state) {
  const AttentionShape s = attention_shape(state);
  Cpu cpu(static_cast<int>(state.range(4)));
  const Index width = s.heads * s.head_dim;
  const auto qk = bench::numbers(s.batch * s.q_batch), qkv = bench::numbers(s.batch * s.v_batch);
  std::vector<float> y(static_cast<std::size_t>(s.batch * s.o_batch)), lse(static_cast<std::size_t>(s.batch * s.heads * s.queries));
  for (auto _ : state) K::attention(cpu, s, qk.data(), qk.data() + width, qkv.data() + 2 * width, y.data(), lse.data());
  bench::report(state, 2.0 * double(s.batch * s.queries * s.keys * width), cpu.threads());
}
void attention_backward(benchmark::State& state) {
  const AttentionShape s = attention_shape(state);
  Cpu cpu(static_cast<int>(state.range(4)));
  const Index width = s.heads * s.head_dim;
  const auto qk = bench::numbers(s.batch * s.q_batch), qkv = bench::numbers(s.batch * s.v_batch), d_y = bench::numbers(s.batch * s.o_batch);
  std::vector<float> y(d_y.size()), lse(static_cast<std::size_t>(s.batch * s.heads * s.queries)), d_qk(qk.size()), d_qkv(qkv.size());
  K::attention(cpu, s, qk.data(), qk.data() + width, qkv.data() + 2 * width, y.data(), lse.data());
  for (auto _ : state)
    K::attention_backward(cpu, s, d_y.data(), qk.data(), qk.data() + width, qkv.data() + 2 * width, y.data(), lse.data(), d_qk.data(),
                          d_qk.data() + width, d_qkv.data() + 2 * width, false);
  bench::report(state, 5.0 * double(s.batch * s.queries * s.keys * width), cpu.threads());
}
void attention_shapes(benchmark::internal::Benchmark* b) {
  for (const int threads : {1, 2})
    for (const auto& [batch, tokens, heads, dim] : {std::array{4, 256, 12, 64}, std::array{4, 288, 12, 64}, std::array{64, 20, 8, 32}}) b->Args({batch, tokens, heads, dim, threads});
  b->ArgNames({"batch", "tokens", "heads", "dim", "threads"})->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK(attention)->Apply(attention_shapes);
BENCHMARK(attention_backward)->Apply(attention_shapes);

// Norm and modulation of 1152 rows of 768. Argument: threads.
void modulated_rms_norm(benchmark::State& state) {
  Cpu cpu(static_cast<int>(state.range(0)));
  const RowShape shape{1152, 768, 288, 6 * 768};
  const auto x = bench::numbers(1152 * 768), w = bench::numbers(768), m = bench::numbers(4 * 6 * 768);
  std::vector<float> y(x.size()), rstd(1152);
  for (auto _ : state) K::norm(cpu, NormKind::rms, shape, 1e-6, x.data(), w.data(), nullptr, m.data(), m.data() + 768, y.data(), nullptr, rstd.data());
  bench::report_bytes(state, 2.0 * 4 * 1152 * 768, modulated_rms_norm_operations * 1152 * 768, cpu.threads());
}
BENCHMARK(modulated_rms_norm)->Arg(1)->Arg(2)->ArgName("threads")->Unit(benchmark::kMicrosecond)->UseRealTime();

void swiglu(benchmark::State& state) {
  Cpu cpu(static_cast<int>(state.range(0)));
  const auto x = bench::numbers(1152 * 4096);
  std::vector<float> y(1152 * 2048);
  for (auto _ : state) K::swiglu(cpu, Index{1152}, Index{2048}, x.data(), y.data());
  bench::report_bytes(state, 3.0 * 4 * 1152 * 2048, swiglu_operations * 1152 * 2048, cpu.threads());
}
BENCHMARK(swiglu)->Arg(1)->Arg(2)->ArgName("threads")->Unit(benchmark::kMicrosecond)->UseRealTime();

// One optimiser step with two averages over 32 M parameters: 6 arrays read, 5 written.
void adamw_two_ema(benchmark::State& state) {
  Cpu cpu(static_cast<int>(state.range(0)));
  const Index n = Index{1} << 25;
  auto w = bench::numbers(n), g = bench::numbers(n), m = bench::numbers(n), v = bench::numbers(n), e1 = bench::numbers(n), e2 = bench::numbers(n);
  for (float& second : v) second = second * second;
  const AdamWStep step{1e-4, 0.9, 0.95, 1e-8, 0, 0.5, 0.5, 1, 0.9999, 0.9996};
  for (auto _ : state) K::adamw(cpu, step, n, w.data(), g.data(), m.data(), v.data(), e1.data(), e2.data());
  bench::report_bytes(state, 11.0 * 4 * double(n), adamw_two_ema_operations * double(n), cpu.threads());
}
BENCHMARK(adamw_two_ema)->Arg(1)->Arg(2)->ArgName("threads")->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
