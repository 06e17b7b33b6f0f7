// The ceiling that every figure is a share of: the rate of Eigen's matrix product on one thread, times the threads in use,
// measured in the same run of the program.
#pragma once

#include <sfumato/backend/cpu/cpu.hpp>

#include <Eigen/Core>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace bench {

using sfumato::Index;
using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// GFLOP/s of Eigen on one thread at 1152 x 768 x 3072: the best of a few runs.
inline double eigen_rate() {
  static const double rate = [] {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    Eigen::setNbThreads(1);
    const Matrix a = Matrix::Random(1152, 768), w = Matrix::Random(3072, 768);
    Matrix c(1152, 3072);
    double best = 1e9;
    for (int i = 0; i < 12; ++i) {
      const auto start = Clock::now();
      c.noalias() = a * w.transpose();
      benchmark::DoNotOptimize(c.data());
      best = std::min(best, seconds_since(start));
    }
    return 2e-9 * 1152 * 768 * 3072 / best;
  }();
  return rate;
}

/// Adds GFLOP/s, the ceiling and the share of it, from the operations of one iteration.
inline void report_operations(benchmark::State& state, double operations, int threads) {
  const double flops = operations * double(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsRate);
  state.counters["ceiling"] = eigen_rate() * threads;
  state.counters["share"] = benchmark::Counter(flops * 1e-9 / (eigen_rate() * threads), benchmark::Counter::kIsRate);
}

/// The same from multiply-adds, which are two operations each.
inline void report(benchmark::State& state, double macs, int threads) { report_operations(state, 2 * macs, threads); }

/// For what memory bounds: GB/s from the bytes that one iteration reads and writes, and the same three from its operations,
/// counted nominally.
inline void report_bytes(benchmark::State& state, double bytes, double operations, int threads) {
  report_operations(state, operations, threads);
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9 * double(state.iterations()), benchmark::Counter::kIsRate);
}

inline std::vector<float> numbers(Index n) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = 0.01f * static_cast<float>(i % 97) - 0.4f;
  return v;
}

}  // namespace bench
