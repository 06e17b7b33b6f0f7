// An optimiser of one's own, gradient descent with momentum: one struct.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/samples.hpp>
#include <sfumato/train/trainer.hpp>

#include <doctest/doctest.h>

using namespace sfumato;

namespace {

struct Descent {
  static constexpr std::array<const char*, 1> state{"velocity"};  // flat buffers that it keeps; checkpoints save them
  double momentum = 0.9;

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("optimizer", "descent");
    visit("optimizer.momentum", momentum);
  }
  void validate() const {}  // throws Error for options that mean nothing
  template <class B, class E> void update(const OptimiserStep<B, E>& s) const {
    s.for_each_run([](const ParameterInfo&) { return true; }, [&](Index begin, Index size, bool) {
      E *const velocity = s.state[0] + begin, *const weight = s.weights + begin;
      const auto combine = [&](double alpha, const E* x, double beta, const E* y, E* out) {
        Kernels<B>::linear_combination(s.device(), Index{1}, size, &alpha, x, &beta, y, out, false);
      };
      combine(momentum, velocity, s.gradient_scale, s.gradients + begin, velocity);
      combine(1, weight, -s.rate, velocity, weight);
      s.average(begin, size);
    });
  }
};

using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>>;
using Images = Model::ImageShape;

}  // namespace

TEST_CASE("three steps of gradient descent are those written out") {
  backend::Reference device;
  std::vector<float> pixels(4 * 64);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = i % 3 == 0 ? 0.8f : -0.8f;
  const Samples<Images> data(pixels);
  TrainOptions options{.batch = 4, .learning_rate = 0.05};
  options.ema1 = 0.5;
  Trainer<Model, Images, FlowObjective<Space::x>, backend::Reference, double, Descent> trainer(device, {}, options, {.momentum = 0.5});
  const auto host = [&](auto& array) {
    std::vector<double> out(static_cast<std::size_t>(array.size()));
    array.download(out);
    return out;
  };
  auto weights = host(trainer.weights()), average = host(trainer.ema1());
  std::vector<double> velocity(weights.size());
  for (int step = 0; step < 3; ++step) {
    trainer.step(data);
    const auto gradients = host(trainer.gradients());
    for (const ParameterInfo& p : parameter_table(trainer.model()))
      for (auto i = static_cast<std::size_t>(p.offset); i < static_cast<std::size_t>(p.offset + p.size); ++i) {
        if (p.frozen) continue;
        velocity[i] = 0.5 * velocity[i] + gradients[i];
        weights[i] -= 0.05 * velocity[i];
        average[i] = 0.5 * average[i] + 0.5 * weights[i];
      }
  }
  const auto found = host(trainer.weights()), found_average = host(trainer.ema1());
  double moved = 0, error = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    moved += std::abs(velocity[i]);
    error = std::max({error, std::abs(found[i] - weights[i]), std::abs(found_average[i] - average[i])});
  }
  CHECK(moved > 0.1);
  CHECK(error < 1e-14);
}
