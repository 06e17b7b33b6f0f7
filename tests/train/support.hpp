// A tiny JiT, a toy data set, and how to look into a trainer.
#pragma once

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/loop.hpp>

#include "io/support.hpp"

#include <limits>
#include <map>
#include <string>
#include <vector>

namespace train_test {

using namespace sfumato;
using backend::Cpu;
using io_test::TemporaryDirectory;

using Trunk = Transformer<16, 2, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<2, 1>, Dropout<std::ratio<1, 10>, 0, 2>>;
using Model = JiT<ImagePatches<8, 1, 4, 3>, Trunk, Head<Linear>, Bottleneck<8>>;
using Objective = FlowObjective<Space::x>;
template <class E = float> using TinyTrainer = Trainer<Model, Model::ImageShape, Objective, Cpu, E>;

/// Twenty images of waves; from the load number `spoiled_from` on they hold a NaN.
struct Waves {
  Index count = 20;
  Index spoiled_from = std::numeric_limits<Index>::max();
  mutable Index loads = 0;

  Index size() const { return count; }
  template <class E> int load(Index i, bool flip, E* out) const {
    for (int y = 0; y < 8; ++y)
      for (int x = 0; x < 8; ++x) *out++ = static_cast<E>(std::sin(0.3 * (flip ? 7 - x : x) * double(1 + i % 3) + 0.2 * y * double(1 + i % 5)));
    if (loads++ >= spoiled_from) out[-1] = std::numeric_limits<E>::quiet_NaN();
    return int(i % 3);
  }
};
static_assert(TrainingData<Waves> && TrainingData<Waves, double>);

inline TrainOptions tiny_options() {
  TrainOptions options;
  options.batch = 8;
  options.learning_rate = 1e-2;
  options.ema1 = 0.9, options.ema2 = 0.5;
  options.seed = 3;
  return options;
}

/// How often this program has asked for heap memory (heap.cpp).
long heap_requests();

/// All that a checkpoint holds, and the step.
template <class T> std::map<std::string, std::vector<typename T::master>> state(T& trainer) {
  std::map<std::string, std::vector<typename T::master>> out;
  trainer.for_each_buffer([&](const std::string& name, auto& array) {
    auto& host = out[name];
    host.resize(static_cast<std::size_t>(array.size()));
    array.download(host);
  });
  out["step"] = {static_cast<typename T::master>(trainer.step_count())};
  return out;
}
/// Likewise, of each part of a trainer that has several, in a row.
template <class T> std::vector<typename T::master> all_of(T& trainer) {
  std::vector<typename T::master> out;
  trainer.for_each_part([&](const std::string&, auto& part) {
    for (const auto& entry : state(part)) out.insert(out.end(), entry.second.begin(), entry.second.end());
  });
  return out;
}
template <class T> std::vector<typename T::master> gradients(T& trainer) {
  std::vector<typename T::master> host(static_cast<std::size_t>(trainer.gradients().size()));
  trainer.gradients().download(host);
  return host;
}

}  // namespace train_test
