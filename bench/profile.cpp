// Where the time of JiT-B/16 goes: a table of every kernel of a forward pass (batch 4) and of a training step (batch 8).
//
//   bench_profile [runs] [threads]        SFUMATO_SIMD=avx2 for a lesser instruction set
//
// share: of the time; ceiling: the kernel's rate against the ceiling of all benchmarks (ceiling.hpp); MB moved: what the kernel
// reads and writes, packing and repeated passes included; MB least: every operand once, a sum that is added to twice; gap: the time
// above both the multiply-adds at the ceiling and the least bytes at the rate of memory, which a x + b y over large arrays has in
// the same run.
#include "ceiling.hpp"

#include <sfumato/backend/observed.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

using namespace sfumato;

namespace {

/// What one call does: multiply-adds, and elements moved and at least to be moved.
struct Work {
  double macs = 0, moved = 0, least = 0;
};

/// Elements that an elementwise kernel reads and writes for each element it works on.
double passes(const std::string& kernel) {
  static const std::map<std::string, double> table{
      {"fill", 1},       {"upload", 2},          {"download", 2},    {"norm", 2},          {"norm_backward", 3},   {"gated_residual", 3},
      {"gated_residual_backward", 3}, {"activation", 2}, {"activation_backward", 3}, {"softmax", 2}, {"softmax_backward", 3}, {"dropout", 2},
      {"multiply", 3},   {"linear_combination", 3}, {"normal", 1},   {"adamw", 11},        {"squared_norm", 1},    {"column_sum", 1},
      {"weighted_mse", 2}, {"weighted_mse_backward", 3}, {"swiglu", 3}, {"swiglu_backward", 5}, {"qk_norm_rotary", 4}, {"qk_norm_rotary_backward", 6}};
  const auto found = table.find(kernel);
  return found == table.end() ? 2 : found->second;
}

Work once(const std::string& kernel, double elements) { return {0, passes(kernel) * elements, passes(kernel) * elements}; }

// By the first arguments of each kernel.
Work work(const std::string&, const MatmulShape& s, const auto&, const auto&, const auto&, bool accumulate, const auto&...) {
  const double m = double(s.m), n = double(s.n), k = double(s.k), batch = double(s.batch);
  const double column_passes = std::ceil(n / 1024), depth_passes = std::ceil(k / 384);  // backend/cpu/gemm.hpp's blocks
  const double b_matrices = s.b_batch == 0 ? 1 : batch;
  return {batch * m * n * k, batch * m * k * column_passes + 3 * k * n * b_matrices + batch * m * n * (2 * depth_passes - (accumulate ? 0 : 1)),
          batch * m * k + k * n * b_matrices + batch * m * n * (accumulate ? 2 : 1)};
}
Work work(const std::string& kernel, const AttentionShape& s, const auto&...) {
  const double pairs = double(s.batch * s.heads * s.queries * s.keys), rows = double(s.batch * s.heads * s.head_dim) * double(s.queries);
  const bool backward = kernel == "attention_backward";
  return {pairs * double(s.head_dim) * (backward ? 5 : 2), rows * (backward ? 9 : 4), rows * (backward ? 8 : 4)};
}
Work work(const std::string& kernel, NormKind, const RowShape& s, const auto&...) { return once(kernel, double(s.rows * s.width)); }
Work work(const std::string& kernel, const RowShape& s, const auto&...) { return once(kernel, double(s.rows * s.width)); }
Work work(const std::string& kernel, const QkShape& s, const auto&...) { return once(kernel, double(s.rows * s.heads * s.head_dim)); }
Work work(const std::string& kernel, const CopyShape& s, const auto&...) {
  double n = 1;
  for (int i = 0; i < s.rank; ++i) n *= double(s.extent[i]);
  return once(kernel, n);
}
Work work(const std::string& kernel, const AdamWStep&, Index n, const auto&...) { return once(kernel, double(n)); }
Work work(const std::string& kernel, Activation, Index n, const auto&...) { return once(kernel, double(n)); }
Work work(const std::string& kernel, const Random&, auto, Index n, const auto&...) { return once(kernel, double(n)); }
Work work(const std::string& kernel, Index batch, Index size, const double*, const auto*, const double* beta, const auto&...) {
  const double n = (beta != nullptr ? 3 : 2) * double(batch * size);  // linear_combination of one or of two
  return kernel == "linear_combination" ? Work{0, n, n} : once(kernel, double(batch * size));
}
Work work(const std::string&, Index batch, Index size, const double*, const auto*, std::nullptr_t, const auto&...) {
  return {0, 2 * double(batch * size), 2 * double(batch * size)};
}
Work work(const std::string& kernel, Index rows, Index columns, const auto&...) {
  if (kernel == "for_each") return {0, 2 * double(columns), 2 * double(columns)};  // (n, work, f)
  return once(kernel, double(rows * columns));
}
Work work(const std::string& kernel, Index n, const auto&...) { return once(kernel, double(n)); }
Work work(const std::string&, const auto&...) { return {}; }  // upload, download, embedding: a row or two

std::string key(const char* kernel, const auto&...) { return kernel; }
std::string key(const char* kernel, const MatmulShape& s, const auto&...) {
  const Index rows = s.b_batch == 0 ? s.m * s.batch : s.m;
  return text(kernel, " ", rows, " x ", s.n, " x ", s.k, s.b_batch == 0 ? "" : text(", ", s.batch, " times"));
}

/// Adds up time and work by kernel.
struct Profiler {
  struct Row {
    double seconds = 0;
    Work work;
    int calls = 0;
  };
  std::map<std::string, Row> rows;
  bench::Clock::time_point start;

  void begin(const char*, const auto&...) { start = bench::Clock::now(); }
  void end(const char* kernel, const auto&... arguments) {
    const double seconds = bench::seconds_since(start);
    if (std::strcmp(kernel, "allocate") == 0 || std::strcmp(kernel, "deallocate") == 0) return;
    Row& row = rows[key(kernel, arguments...)];
    const Work w = work(kernel, arguments...);
    row.seconds += seconds;
    row.work.macs += w.macs, row.work.moved += w.moved, row.work.least += w.least;
    ++row.calls;
  }
};
using Device = backend::Observed<backend::Cpu, Profiler>;

/// Bytes a second of a x + b y over 96 MB arrays.
double memory_rate(backend::Cpu& cpu) {
  static const double rate = [&] {
    const Index n = 24 << 20;
    const auto x = bench::numbers(n), y = bench::numbers(n);
    std::vector<float> z(x.size());
    const double one = 1;
    double best = 1e9;
    for (int i = 0; i < 8; ++i) {
      const auto start = bench::Clock::now();
      Kernels<backend::Cpu>::linear_combination(cpu, Index{1}, n, &one, x.data(), &one, y.data(), z.data(), false);
      best = std::min(best, bench::seconds_since(start));
    }
    return 12.0 * double(n) / best;
  }();
  return rate;
}

constexpr double smallest = 0.003;  // share of the time that is worth a line

void print(const char* title, const Profiler& profiler, double total, int runs, int threads, double memory) {
  std::printf("\n%s: %.1f ms\n\n| kernel | calls | ms | share | GFLOP/s | ceiling | MB moved | MB least | gap, ms |\n|---|---|---|---|---|---|---|---|---|\n", title, 1e3 * total);
  const double ceiling = bench::eigen_rate() * threads;
  const auto line = [&](const std::string& name, const Profiler::Row& r) {
    std::printf("| %s | %d | %.2f | %.1f %% |", name.c_str(), r.calls / runs, 1e3 * r.seconds / runs, 100 * r.seconds / runs / total);
    const double rate = 2e-9 * r.work.macs / r.seconds;
    if (r.work.macs > 0) std::printf(" %.0f | %.2f |", rate, rate / ceiling);
    else std::printf(" | |");
    const double least = std::max(2e-9 * r.work.macs / ceiling, 4 * r.work.least / memory);
    std::printf(" %.0f | %.0f | %.1f |\n", 4e-6 * r.work.moved / runs, 4e-6 * r.work.least / runs, 1e3 * std::max(0.0, r.seconds - least) / runs);
  };
  std::vector<std::pair<std::string, Profiler::Row>> sorted(profiler.rows.begin(), profiler.rows.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  Profiler::Row other, all;
  const auto add = [](Profiler::Row& to, const Profiler::Row& r) {
    to.seconds += r.seconds, to.calls += r.calls;
    to.work.macs += r.work.macs, to.work.moved += r.work.moved, to.work.least += r.work.least;
  };
  for (const auto& [name, row] : sorted) {
    add(all, row);
    if (row.seconds / runs >= smallest * total) line(name, row);
    else add(other, row);
  }
  line(text("the others, below ", 100 * smallest, " % each"), other);
  line("outside of kernels", {.seconds = total * runs - all.seconds, .work = {}, .calls = 0});
  all.seconds = total * runs;
  line("**all**", all);
}

template <class Run> void profile(const char* title, Device& device, int runs, Run&& run) {
  run();
  device.observer = {};
  const auto start = bench::Clock::now();
  for (int i = 0; i < runs; ++i) run();
  print(title, device.observer, bench::seconds_since(start) / runs, runs, device.inner.threads(), memory_rate(device.inner));
}

struct Noise {
  Index size() const { return 64; }
  int load(Index i, bool, float* out) const {
    for (Index j = 0; j < JiT_B_16::ImageShape::row; ++j) out[j] = 0.01f * static_cast<float>((i * 31 + j) % 199) - 1;
    return static_cast<int>(i);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::atoi(argv[1]) : 5, threads = argc > 2 ? std::atoi(argv[2]) : 0;
  if (runs < 1 || threads < 0) return std::fprintf(stderr, "usage: bench_profile [runs] [threads]\n"), 2;
  Device device{.inner = backend::Cpu(threads)};
  std::printf("%d threads, %s, ceiling %.0f GFLOP/s, memory %.0f GB/s, mean of %d runs\n", device.inner.threads(),
              backend::simd_name(device.inner.simd_level()), bench::eigen_rate() * device.inner.threads(), 1e-9 * memory_rate(device.inner), runs);
  {
    Workspace workspace(device);
    Weights<JiT_B_16, Device> weights(device, 1);
    Run<Device> run(workspace, weights.values());
    const auto z = ops::normal<JiT_B_16::ImageShape>(run, 4, {1, Stream::user});
    const std::vector<double> times(4, 0.5);
    const std::vector<int> labels(4, 7);
    profile("Forward, batch 4", device, runs, [&] { weights.model()(run, z, times, labels); });
  }
  Trainer<JiT_B_16, JiT_B_16::ImageShape, FlowObjective<Space::x, Space::v>, Device> trainer(device, {}, {.batch = 8});
  profile("Training step, batch 8", device, runs, [&] { trainer.step(Noise{}); });
}
