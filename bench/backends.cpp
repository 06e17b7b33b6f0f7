// One table of what each backend does, op by op and model by model: JiT's sizes at 256 x 256.
//
//   bench_backends [--out=folder] [options of Google Benchmark, e.g. --benchmark_filter=cuda.bf16]
//
// writes backends.csv and backends.png to the folder. The ceilings are those of the same run: the rate of a large matrix product
// of the same elements, and of a large copy. A share is of the one that bounds the op. A training step is taken for three forward passes.
// Each case has a backend of its own, so that the memory it takes is known.
#include "../examples/common/device.hpp"
#include "../examples/common/plot.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <vector>

using namespace sfumato;

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// What one run of a case does.
struct Work {
  double macs = 0, bytes = 0, images = 0;
  bool memory_bound = false;
};
struct Row {
  std::string name, backend, machine;
  double seconds;
  Work work;
  double share = 1, peak_bytes = 0;
  double outside = 0;  ///< of a sampling loop: the share of its time that its evaluations of the model do not take
};
std::vector<Row> rows;

/// What a row was measured on: the GPU with its driver, or the CPU.
template <class B> std::string machine_of(B& device) {
  if constexpr (!host_memory<B>) {
    const int driver = device.api().driver();
    return text(device.api().properties().name, ", driver for CUDA ", driver / 1000, '.', driver % 1000 / 10);
  } else {
    std::string line;
    for (std::ifstream file("/proc/cpuinfo"); std::getline(file, line);)
      if (line.starts_with("model name")) return text(line.substr(line.find(':') + 2), ", ", device.threads(), " threads");
    return text(device.threads(), " threads");
  }
}

void wait(auto& device) {
  if constexpr (requires { device.synchronize(); }) device.synchronize();
}

/// An image that costs no more than its copy.
template <class E> struct Noise {
  std::vector<E> image = [] {
    std::vector<E> x;
    for (Index j = 0; j < JiT_B_16::ImageShape::row; ++j) x.push_back(static_cast<E>(0.01f * static_cast<float>(j % 199) - 1));
    return x;
  }();
  Index size() const { return 64; }
  int load(Index i, bool, E* out) const {
    std::copy(image.begin(), image.end(), out);
    return static_cast<int>(i);
  }
};

/// The cases of one backend in one type of element.
template <class B, class E> class Suite {
 public:
  using K = Kernels<B>;
  using S = compute_t<E>;
  using Image = JiT_B_16::ImageShape;
  using Objective = FlowObjective<Space::x, Space::v>;

  /// `new_device()` makes a backend.
  template <class NewDevice> Suite(const NewDevice& new_device, std::string name)
      : new_device_([=] { return std::make_unique<B>(new_device()); }), device_(new_device_()), name_(std::move(name)), machine_(machine_of(*device_)) {}

  void add_ops() {
    const Index tokens = 288, batch = 64, rows_ = batch * tokens, width = 768, hidden = 2048, heads = 12, head = 64;
    for (const auto& [k, n] : {std::pair{width, 3 * width}, {width, 2 * hidden}, {hidden, width}}) {
      add(text("matmul ", rows_, " x ", k, " x ", n), {.macs = double(rows_ * k * n)}, [=, this] {
        return [=, this, x = numbers(rows_ * k), w = numbers(n * k), bias = numbers(n), y = numbers(rows_ * n)]() mutable {
          K::matmul(*device_, {.m = rows_, .n = n, .k = k, .a_row = k, .a_col = 1, .b_row = 1, .b_col = k, .c_row = n}, in(x), in(w), y.data(), false, in(bias),
                    Activation::none);
        };
      });
    }
    const AttentionShape s{batch, heads, tokens, tokens, head, 2 * width * tokens, 2 * width, 2 * width * tokens, 2 * width, 3 * width * tokens, 3 * width, width * tokens, width, 0.125};
    const double pairs = double(batch * tokens) * double(tokens * width);
    add("attention", {.macs = 2 * pairs}, [=, this] {
      return [=, this, qk = numbers(rows_ * 2 * width), qkv = numbers(rows_ * 3 * width), y = numbers(rows_ * width), lse = statistics(batch * heads * tokens)]() mutable {
        K::attention(*device_, s, in(qk), in(qk) + width, in(qkv) + 2 * width, y.data(), lse.data());
      };
    });
    add("attention, backward", {.macs = 5 * pairs}, [=, this] {
      auto qk = numbers(rows_ * 2 * width), qkv = numbers(rows_ * 3 * width), y = numbers(rows_ * width);
      auto lse = statistics(batch * heads * tokens);
      K::attention(*device_, s, in(qk), in(qk) + width, in(qkv) + 2 * width, y.data(), lse.data());
      return [=, this, qk = std::move(qk), qkv = std::move(qkv), y = std::move(y), lse = std::move(lse), d_y = numbers(rows_ * width),
              d_qk = numbers(rows_ * 2 * width), d_qkv = numbers(rows_ * 3 * width)]() mutable {
        K::attention_backward(*device_, s, in(d_y), in(qk), in(qk) + width, in(qkv) + 2 * width, in(y), in(lse), d_qk.data(), d_qk.data() + width, d_qkv.data() + 2 * width, false);
      };
    });
    const RowShape shape{rows_, width, tokens, 6 * width};
    const auto passes = [](Index elements, double n) { return Work{.bytes = double(elements) * double(sizeof(E)) * n, .memory_bound = true}; };
    add("norm and modulation", passes(rows_ * width, 2), [=, this] {
      return [=, this, x = numbers(rows_ * width), w = numbers(width), m = numbers(batch * 6 * width), y = numbers(rows_ * width), rstd = statistics(rows_)]() mutable {
        K::norm(*device_, NormKind::rms, shape, 1e-6, in(x), in(w), nullptr, in(m), in(m) + width, y.data(), nullptr, rstd.data());
      };
    });
    add("norm and modulation, backward", passes(rows_ * width, 5), [=, this] {  // both inputs are read twice: for d_x and for the sums
      auto rstd = statistics(rows_);
      K::fill(*device_, rows_, 1.0, rstd.data());
      return [=, this, x = numbers(rows_ * width), w = numbers(width), m = numbers(batch * 6 * width), d_y = numbers(rows_ * width), d_x = numbers(rows_ * width),
              rstd = std::move(rstd), d_w = numbers(width), d_m = numbers(batch * 6 * width)]() mutable {
        K::norm_backward(*device_, NormKind::rms, shape, in(d_y), in(x), in(w), nullptr, in(m) + width, nullptr, in(rstd), d_x.data(), false, d_w.data(), nullptr,
                         d_m.data(), d_m.data() + width);
      };
    });
    add("gated residual", passes(rows_ * width, 3), [=, this] {
      return [=, this, x = numbers(rows_ * width), h = numbers(rows_ * width), m = numbers(batch * 6 * width), y = numbers(rows_ * width)]() mutable {
        K::gated_residual(*device_, shape, in(x), in(h), in(m), y.data());
      };
    });
    add("gated residual, backward", passes(rows_ * width, 4), [=, this] {  // d_y is read twice
      return [=, this, d_y = numbers(rows_ * width), h = numbers(rows_ * width), m = numbers(batch * 6 * width), d_h = numbers(rows_ * width), d_m = numbers(batch * 6 * width)]() mutable {
        K::gated_residual_backward(*device_, shape, in(d_y), in(h), in(m), d_h.data(), false, d_m.data());
      };
    });
    if constexpr (!std::is_same_v<E, S>) {
      const auto wide = [=](double narrow_passes, double wide_passes) {
        return Work{.bytes = double(rows_ * width) * (double(sizeof(E)) * narrow_passes + double(sizeof(S)) * wide_passes), .memory_bound = true};
      };
      add("norm and modulation of a stream in f32", wide(1, 1), [=, this] {
        return [=, this, x = wide_numbers(rows_ * width), w = numbers(width), m = numbers(batch * 6 * width), y = numbers(rows_ * width), rstd = statistics(rows_)]() mutable {
          K::norm(*device_, NormKind::rms, shape, 1e-6, in(x), in(w), nullptr, in(m), in(m) + width, y.data(), nullptr, rstd.data());
        };
      });
      add("norm and modulation of a stream in f32, backward", wide(2, 3), [=, this] {
        auto rstd = statistics(rows_);
        K::fill(*device_, rows_, 1.0, rstd.data());
        return [=, this, x = wide_numbers(rows_ * width), w = numbers(width), m = numbers(batch * 6 * width), d_y = numbers(rows_ * width), d_x = statistics(rows_ * width),
                rstd = std::move(rstd), d_w = numbers(width), d_m = numbers(batch * 6 * width)]() mutable {
          K::norm_backward(*device_, NormKind::rms, shape, in(d_y), in(x), in(w), nullptr, in(m) + width, nullptr, in(rstd), d_x.data(), false, d_w.data(), nullptr,
                           d_m.data(), d_m.data() + width);
        };
      });
      add("gated residual of a stream in f32, backward", wide(2, 2), [=, this] {
        return [=, this, d_y = wide_numbers(rows_ * width), h = numbers(rows_ * width), m = numbers(batch * 6 * width), d_h = numbers(rows_ * width), d_m = numbers(batch * 6 * width)]() mutable {
          K::gated_residual_backward(*device_, shape, in(d_y), in(h), in(m), d_h.data(), false, d_m.data());
        };
      });
      add("gated residual of a stream in f32", wide(1, 2), [=, this] {
        return [=, this, x = wide_numbers(rows_ * width), h = numbers(rows_ * width), m = numbers(batch * 6 * width), y = statistics(rows_ * width)]() mutable {
          K::gated_residual(*device_, shape, in(x), in(h), in(m), y.data());
        };
      });
    }
    add("QK-norm and rotary", passes(rows_ * width, 4), [=, this] {
      return [=, this, qkv = numbers(rows_ * 3 * width), w = numbers(2 * head), table = numbers(tokens * head), qk = numbers(rows_ * 2 * width), rstd = statistics(rows_ * 2 * heads)]() mutable {
        K::qk_norm_rotary(*device_, QkShape{rows_, tokens, heads, head, 1e-6}, in(qkv), in(w), in(w) + head, in(table), qk.data(), rstd.data());
      };
    });
    add("QK-norm and rotary, backward", passes(rows_ * width, 6), [=, this] {
      auto rstd = statistics(rows_ * 2 * heads);
      K::fill(*device_, rows_ * 2 * heads, 1.0, rstd.data());
      return [=, this, d_qk = numbers(rows_ * 2 * width), qkv = numbers(rows_ * 3 * width), w = numbers(2 * head), table = numbers(tokens * head), rstd = std::move(rstd),
              d_qkv = numbers(rows_ * 3 * width), d_w = numbers(2 * head)]() mutable {
        K::qk_norm_rotary_backward(*device_, QkShape{rows_, tokens, heads, head, 1e-6}, in(d_qk), in(qkv), in(w), in(w) + head, in(table), in(rstd), d_qkv.data(),
                                   false, d_w.data(), d_w.data() + head);
      };
    });
    add("SwiGLU", passes(rows_ * hidden, 3), [=, this] {
      return [=, this, x = numbers(rows_ * 2 * hidden), y = numbers(rows_ * hidden)]() mutable { K::swiglu(*device_, rows_, hidden, in(x), y.data()); };
    });
    add("SwiGLU, backward", passes(rows_ * hidden, 5), [=, this] {
      return [=, this, x = numbers(rows_ * 2 * hidden), d_y = numbers(rows_ * hidden), d_x = numbers(rows_ * 2 * hidden)]() mutable {
        K::swiglu_backward(*device_, rows_, hidden, in(d_y), in(x), d_x.data(), false);
      };
    });
    add("GELU", passes(rows_ * hidden, 2), [=, this] {
      return [=, this, x = numbers(rows_ * hidden), y = numbers(rows_ * hidden)]() mutable { K::activation(*device_, Activation::gelu_tanh, rows_ * hidden, in(x), y.data()); };
    });
    add("dropout", passes(rows_ * hidden, 2), [=, this] {
      return [=, this, x = numbers(rows_ * hidden), y = numbers(rows_ * hidden)]() mutable { K::dropout(*device_, Random{.seed = 1}, 0, rows_ * hidden, 0.2, in(x), y.data(), false); };
    });
    const Index classes = 1000;
    add("softmax", passes(rows_ * classes, 2), [=, this] {
      return [=, this, x = numbers(rows_ * classes), y = numbers(rows_ * classes)]() mutable { K::softmax(*device_, rows_, classes, in(x), y.data()); };
    });
    add("cross-entropy", passes(rows_ * classes, 2), [=, this] {
      return [=, this, x = numbers(rows_ * classes), y = numbers(rows_ * classes), loss = statistics(1), labels = std::vector<int>(std::size_t(rows_), 7)]() mutable {
        K::cross_entropy(*device_, rows_, classes, in(x), labels.data(), y.data(), loss.data());
      };
    });
    add("cross-entropy, backward", passes(rows_ * classes, 2), [=, this] {
      return [=, this, p = numbers(rows_ * classes), d_x = numbers(rows_ * classes), loss = wide_numbers(1), labels = std::vector<int>(std::size_t(rows_), 7)]() mutable {
        K::cross_entropy_backward(*device_, rows_, classes, in(loss), in(p), labels.data(), d_x.data(), false);
      };
    });
    add("weighted squared error", passes(batch * Image::row, 2), [=, this] {
      return [=, this, x = numbers(batch * Image::row), y = numbers(batch * Image::row), loss = statistics(1), weight = std::vector<double>(std::size_t(batch), 1.0)]() mutable {
        K::weighted_mse(*device_, batch, Image::row, in(x), in(y), weight.data(), loss.data());
      };
    });
    const CopyShape patches = ops::detail::patch_move<3, 16, 16, ops::PatchOrder::row_column_channel>(batch).loops;
    for (const bool back : {false, true})
      add(back ? "unpatchify" : "patchify", passes(batch * Image::row, 2), [=, this] {
        return [=, this, x = numbers(batch * Image::row), y = numbers(batch * Image::row)]() mutable {
          K::strided_copy(*device_, back ? ops::detail::reversed(patches) : patches, in(x), y.data(), false);
        };
      });
    add("bias gradient", passes(rows_ * 2 * hidden, 1), [=, this] {
      return [=, this, x = numbers(rows_ * 2 * hidden), y = numbers(2 * hidden)]() mutable { K::column_sum(*device_, rows_, 2 * hidden, in(x), y.data()); };
    });
    add("noise", passes(batch * Image::row, 1), [=, this] {
      return [=, this, x = numbers(batch * Image::row)]() mutable { K::normal(*device_, Random{.seed = 1}, 0, batch * Image::row, 1.0, x.data()); };
    });
    const Index parameters = 131'123'712;
    add("gradient norm", {.bytes = 1.0 * sizeof(S) * double(parameters), .memory_bound = true},
        [=, this] { return [=, this, g = wide_numbers(parameters)]() mutable { benchmark::DoNotOptimize(K::squared_norm(*device_, parameters, in(g))); }; });
    add("AdamW and two averages", {.bytes = 11.0 * sizeof(S) * double(parameters), .memory_bound = true}, [=, this] {
      const auto make = [=, this] { return statistics(parameters); };
      return [=, this, w = make(), g = make(), m = make(), v = make(), e1 = make(), e2 = make()]() mutable {
        const AdamWStep step{1e-4, 0.9, 0.95, 1e-8, 0, 0.5, 0.5, 1, 0.9999, 0.9996};
        K::adamw(*device_, step, parameters, w.data(), in(g), m.data(), v.data(), e1.data(), e2.data());
      };
    });
  }

  template <class Model> void add_forward(const char* name, Index batch) {
    add(text(name, " forward, batch ", batch), {.macs = double(cost_of<Model>(batch).macs), .images = double(batch)}, [=, this] {
      auto workspace = std::make_unique<Workspace<B>>(*device_);
      auto weights = std::make_unique<Weights<Model, B, E>>(*device_, 1);
      Run<B, E> run(*workspace, weights->values());
      auto z = ops::normal<Image>(run, batch, {1, Stream::user});
      host_peak_ = [pool = &workspace->pool()] { return double(pool->peak_bytes()); };
      return [workspace = std::move(workspace), weights = std::move(weights), run, z, times = std::vector<double>(std::size_t(batch), 0.5),
              labels = std::vector<int>(std::size_t(batch), 7)]() mutable {
        weights->model()(run, z, std::span<const double>(times), std::span<const int>(labels));
      };
    });
  }
  template <class Model> void add_training(const char* name, Index batch) {
    add(text(name, " training step, batch ", batch), {.macs = 3 * double(cost_of<Model>(batch).macs), .images = double(batch)}, [=, this] {
      auto trainer = std::make_unique<Trainer<Model, Image, Objective, B, E>>(*device_, Objective{}, TrainOptions{.batch = batch});
      host_peak_ = [t = trainer.get()] { return double(t->workspace().pool().held_bytes()) + 6.0 * sizeof(S) * double(t->weights().size()); };
      return [trainer = std::move(trainer), data = std::make_unique<Noise<E>>()] { trainer->step(*data, true); };
    });
  }
  /// Heun's method with guidance.
  template <class Model> void add_sampling(const char* name, Index batch, int steps) {
    const double passes = 2 * (2.0 * steps - 1);
    add(text(name, " sampling, ", steps, " steps, batch ", batch), {.macs = passes * double(cost_of<Model>(batch).macs), .images = double(batch)}, [=, this] {
      auto workspace = std::make_unique<Workspace<B>>(*device_);
      auto weights = std::make_unique<Weights<Model, B, E>>(*device_, 1);
      Run<B, E> run(*workspace, weights->values());
      host_peak_ = [pool = &workspace->pool()] { return double(pool->peak_bytes()); };
      evaluations_ = [=, model = &weights->model(), times = std::vector<double>(std::size_t(batch), 0.5), labels = std::vector<int>(std::size_t(batch), 7)]() mutable {
        const auto z = ops::normal<Image>(run, batch, {1, Stream::user});
        for (int i = 0; i < int(passes); ++i) (*model)(run, z, std::span<const double>(times), std::span<const int>(labels));
      };
      return [steps, workspace = std::move(workspace), weights = std::move(weights), run, labels = std::vector<int>(std::size_t(batch), 7)]() mutable {
        sample<Image>(run, weights->model(), Objective{}, std::span<const int>(labels), 0, 0, {.steps = steps, .guidance = 3});
      };
    });
  }

 private:
  Array<B, E> numbers(Index n) const {
    Array<B, E> x(*device_, n);
    K::normal(*device_, Random{.seed = 1}, 0, n, 1.0, x.data());
    return x;
  }
  Array<B, S> wide_numbers(Index n) const {
    Array<B, S> x(*device_, n);
    K::normal(*device_, Random{.seed = 2}, 0, n, 1.0, x.data());
    return x;
  }
  Array<B, S> statistics(Index n) const { return Array<B, S>(*device_, n); }
  template <class T> static const T* in(const Array<B, T>& x) { return x.data(); }

  /// `make` gets ready and gives what is timed.
  template <class Make> void add(const std::string& name, const Work& work, Make make) {
    benchmark::RegisterBenchmark(text(name_, "/", name).c_str(), [=, this](benchmark::State& state) {
      const double flops = 2 * matrix(), bandwidth = copy();
      device_ = nullptr;
      device_ = new_device_();
      host_peak_ = [] { return 0.0; };
      evaluations_ = nullptr;
      auto run = make();
      for (int i = 0; i < 3; ++i) run();  // takes the memory; the graphs are captured
      wait(*device_);
      const auto start = Clock::now();
      run();
      wait(*device_);
      const int times = std::max(1, int(0.02 / seconds_since(start)));  // before each wait
      double best = 1e300;
      for (auto _ : state) {
        const auto begin = Clock::now();
        for (int i = 0; i < times; ++i) run();
        wait(*device_);
        const double seconds = seconds_since(begin) / times;
        best = std::min(best, seconds);
        state.SetIterationTime(seconds * times);
      }
      const double rate = 2 * work.macs / best;
      const double peak_bytes = peak();
      double outside = 0;
      if (evaluations_) {
        double inside = 1e300;
        for (int i = 0; i < 4; ++i) {
          const auto begin = Clock::now();
          evaluations_();
          wait(*device_);
          inside = std::min(inside, seconds_since(begin));
        }
        outside = std::max(0.0, 1 - inside / best);
        state.counters["outside"] = outside;
        evaluations_ = nullptr;  // its values go before the workspace
      }
      const double share = work.memory_bound ? work.bytes / best / bandwidth : rate / flops;
      state.counters["ms"] = 1e3 * best;
      state.counters["GFLOP/s"] = 1e-9 * rate;
      state.counters["GB/s"] = 1e-9 * work.bytes / best;
      state.counters["share"] = share;
      state.counters["images/s"] = work.images / best;
      state.counters["peak_GiB"] = peak_bytes / 0x1p30;
      rows.push_back({name, name_, machine_, best, work, share, peak_bytes, outside});
    })->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);
  }

  /// Taken from the device; of the host, what models hold there.
  double peak() const {
    if constexpr (requires { device_->arena(); }) return double(device_->arena().held_bytes());
    else return host_peak_();
  }
  double matrix() {
    if (matrix_ == 0) {
      matrix_ = example::matrix_rate<E>(*device_);
      rows.push_back({"ceiling: matrix product", name_, machine_, 0, {.macs = matrix_}});
    }
    return matrix_;
  }
  /// Bytes a second, read and written.
  double copy() {
    if (copy_ > 0) return copy_;
    const Index n = Index{1} << (host_memory<B> ? 26 : 28);
    Array<B, float> x(*device_, n), y(*device_, n);
    const CopyShape shape{.rank = 1, .extent = {n}, .src_stride = {1}, .dst_stride = {1}};
    for (int i = 0; i < 5; ++i) {
      wait(*device_);
      const auto start = Clock::now();
      constexpr int times = host_memory<B> ? 1 : 10;
      for (int k = 0; k < times; ++k) K::strided_copy(*device_, shape, in(x), y.data(), false);
      wait(*device_);
      copy_ = std::max(copy_, times * 8.0 * double(n) / seconds_since(start));
    }
    rows.push_back({"ceiling: copy", name_, machine_, 0, {.bytes = copy_, .memory_bound = true}});
    return copy_;
  }

  std::function<std::unique_ptr<B>()> new_device_;
  std::unique_ptr<B> device_;
  std::string name_, machine_;
  double matrix_ = 0, copy_ = 0;
  std::function<double()> host_peak_;
  std::function<void()> evaluations_;  ///< as many of the model as what is timed has
};

void add_cpu() {
  static Suite<backend::Cpu, float> suite([] { return 0; }, "cpu f32");
  suite.add_ops();
  suite.add_forward<JiT_B_16>("JiT-B/16", 4);
  suite.add_forward<JiT_L_16>("JiT-L/16", 2);
  suite.add_forward<JiT_H_16>("JiT-H/16", 1);
  suite.add_training<JiT_B_16>("JiT-B/16", 8);
  suite.add_sampling<JiT_B_16>("JiT-B/16", 2, 3);
}

#if defined(EXAMPLES_CUDA)
template <class E> void add_cuda(const char* name, backend::Tf32 tf32) {
  static Suite<backend::Cuda, E> suite([tf32] { return backend::CudaOptions{.tf32 = tf32}; }, name);
  suite.add_ops();
  const auto models = [&]<class Model>(const char* model, Index batch) {
    suite.template add_forward<Model>(model, batch);
    suite.template add_training<Model>(model, batch);
    suite.template add_sampling<Model>(model, batch, 50);
  };
  if constexpr (std::is_same_v<E, bf16>) {
    models.template operator()<JiT_B_16>("JiT-B/16", 64);
    models.template operator()<JiTImageNet<256, 16, JiTTrunk<768, 12, 12, 4, WideResidual>, 128>>("JiT-B/16, stream in f32,", 64);
    models.template operator()<JiT_L_16>("JiT-L/16", 64);
    models.template operator()<JiT_H_16>("JiT-H/16", 32);
  } else {
    suite.template add_forward<JiT_B_16>("JiT-B/16", 64);
  }
}
#endif

void write(const std::filesystem::path& folder) {
  char date[11];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%F", std::gmtime(&now));
  std::string csv = "case,backend,milliseconds,gflops,gb_per_s,share,images_per_s,peak_gib,outside_model,machine,date\n";
  std::vector<std::string> names;
  std::map<std::string, std::map<std::string, double>> shares;
  for (const Row& r : rows) {
    const double seconds = r.seconds > 0 ? r.seconds : 1;
    csv += text('"', r.name, "\",", r.backend, ',', 1e3 * r.seconds, ',', 2e-9 * r.work.macs / seconds, ',', 1e-9 * r.work.bytes / seconds, ',', r.share, ',',
                r.work.images / seconds, ',', r.peak_bytes / 0x1p30, ',', r.outside, ",\"", r.machine, "\",", date, '\n');
    if (r.seconds == 0) continue;
    if (std::find(names.begin(), names.end(), r.name) == names.end()) names.push_back(r.name);
    shares[r.backend][r.name] = r.share;
  }
  example::write_text(folder / "backends.csv", csv);
  std::vector<example::plot::Bars> bars;
  for (const auto& [backend, by_name] : shares) {
    bars.push_back({backend, {}});
    for (const std::string& name : names) bars.back().values.push_back(by_name.contains(name) ? by_name.at(name) : 0);
  }
  example::plot::bars(folder / "backends.png", "share of the ceiling: large matrix product, or large copy", names, bars);
  std::printf("%s and %s\n", (folder / "backends.csv").c_str(), (folder / "backends.png").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path folder = "out/backends";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--out=", 6) == 0) folder = argv[i] + 6;
    else argv[kept++] = argv[i];
  }
  argc = kept;
  try {
    add_cpu();
#if defined(EXAMPLES_CUDA)
    try {
      add_cuda<float>("cuda tf32", backend::Tf32::on);
      add_cuda<bf16>("cuda bf16", backend::Tf32::off);
    } catch (const Error& error) {
      if (error.id() != "cuda-device") throw;
      std::printf("the CPU alone: %s\n", error.what());
    }
#endif
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    example::make_folder(folder);
    example::plot::require_gnuplot();
    benchmark::RunSpecifiedBenchmarks();
    check(!rows.empty(), "bench", "no benchmark of that name");
    write(folder);
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_backends: error: %s\n", error.what());
    return 1;
  }
}
