// --backend, --precision, --device, --threads: on what a program computes, and in which elements.
#pragma once

#include "program.hpp"

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/workspace.hpp>
#if defined(EXAMPLES_CUDA)
#include <sfumato/backend/cuda/cuda.hpp>
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace example {

struct DeviceArguments {
  std::string backend = "cpu", precision = "f32";
  int threads = 0, device = 0;
  std::size_t planned_bytes = 0;  ///< of a GPU, what the design's budget foretells: reserved at once
};

inline void add_device_options(CLI::App& app, DeviceArguments& a) {
  app.add_option("--backend", a.backend, "cpu or cuda")->capture_default_str();
  app.add_option("--precision", a.precision, "f32; on cuda also tf32 (its matrix products) and bf16 (weights and sums stay f32)")->capture_default_str();
  app.add_option("--threads", a.threads, "of the CPU; 0: all")->capture_default_str();
  app.add_option("--device", a.device, "number of the GPU")->capture_default_str();
}

/// Calls `body.template operator()<Element>(backend)`. Throws Error("backend") and Error("precision") for what there is not, and
/// what the backends throw.
template <class Body> void on_device(const DeviceArguments& a, Body&& body) {
  using namespace sfumato;
  check(a.precision == "f32" || a.precision == "tf32" || a.precision == "bf16", "precision", "--precision is f32, tf32 or bf16, found '", a.precision, "'");
  if (a.backend == "cpu") {
    check(a.precision == "f32", "precision", "with --backend cpu this program computes in f32, found --precision ", a.precision);
    backend::Cpu cpu(a.threads);
    body.template operator()<float>(cpu);
    return;
  }
  check(a.backend == "cuda", "backend", "--backend is cpu or cuda, found '", a.backend, "'");
#if defined(EXAMPLES_CUDA)
  backend::Cuda gpu({.device = a.device, .tf32 = a.precision == "tf32" ? backend::Tf32::on : backend::Tf32::off, .planned_bytes = a.planned_bytes});
  std::fprintf(stderr, "on %s, %s\n", gpu.api().properties().name, a.precision.c_str());
  if (a.precision == "bf16") body.template operator()<bf16>(gpu);
  else body.template operator()<float>(gpu);
#else
  throw Error("backend", "this program was built without CUDA: configure it with -DSFUMATO_CUDA=ON");
#endif
}

/// Multiply-adds a second of one large matrix product in elements E: what a device can do, to be held against what a program does.
template <class E, class B> double matrix_rate(B& device) {
  using namespace sfumato;
  using K = Kernels<B>;
  const Index n = host_memory<B> ? 1024 : 4096;
  Workspace<B> workspace(device);
  const auto bytes = static_cast<std::size_t>(n * n) * sizeof(E);
  const auto a = workspace.pool().acquire(bytes), b = workspace.pool().acquire(bytes), c = workspace.pool().acquire(bytes);
  for (const auto* x : {&a, &b}) K::normal(device, Random{.seed = 1}, 0, n * n, 1.0, static_cast<E*>(x->data()));
  const auto product = [&] {
    K::matmul(device, {.m = n, .n = n, .k = n, .a_row = n, .a_col = 1, .b_row = 1, .b_col = n, .c_row = n}, static_cast<const E*>(a.data()),
              static_cast<const E*>(b.data()), static_cast<E*>(c.data()), false, static_cast<const E*>(nullptr), Activation::none);
  };
  const auto wait = [&] {
    E one{};
    K::download(device, &one, static_cast<const E*>(c.data()), Index{1});
  };
  double best = 0;
  for (int run = 0; run < 4; ++run) {
    const auto start = std::chrono::steady_clock::now();
    constexpr int times = host_memory<B> ? 1 : 50;
    for (int i = 0; i < times; ++i) product();
    wait();
    best = std::max(best, times * double(n) * double(n) * double(n) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace example
