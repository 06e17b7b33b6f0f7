// Trains a model of its own on arrays of its own: which of three tones sounds in a noisy signal.
#include <sfumato/sfumato.hpp>

#include <cmath>
#include <cstdio>

using namespace sfumato;

// 64 samples in 16 tokens of 4, through two blocks, to 3 classes.
struct Listener {
  using Signal = Shape<dynamic, 64>;
  using Trunk = Transformer<32, 2, RMSNorm, SwiGLU, Heads<2>>;

  layer::Linear<4, Trunk::width> embed;
  Param<Shape<1, 16, Trunk::width>, init::Normal02> position;
  Trunk trunk;
  layer::Linear<Trunk::width, 3> head;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("embed", self.embed);
    visit("position", self.position);
    visit("", self.trunk);
    visit("head", self.head);
  }
  /// x: (batch, 64); logits (batch, 3).
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    const auto tokens = embed(ctx, ops::reshape<Shape<dynamic, 16, 4>>(ctx, x));
    const auto seen = trunk(ctx, ops::add_parameter(ctx, tokens, position));
    return head(ctx, ops::mean<axis::tokens>(ctx, seen));
  }
};
static_assert(parameter_count<Listener>() < 30'000);

// Signals one after the other, and their labels.
void record(int count, std::uint32_t day, std::vector<float>& signals, std::vector<int>& labels) {
  for (int i = 0; i < count; ++i) {
    const Random random{.seed = std::uint64_t(i), .stream = Stream::user, .step = day};
    labels.push_back(i % 3);
    for (std::uint64_t t = 0; t < 64; ++t)
      signals.push_back(float(std::sin((0.3 + 0.2 * (i % 3)) * double(t) + random.uniform(1000)) + 0.3 * random.normal(t)));
  }
}

int main() {
  std::vector<float> signals, unheard;
  std::vector<int> labels, answers;
  record(300, 0, signals, labels);
  record(90, 1, unheard, answers);

  backend::Cpu cpu;
  Trainer<Listener, Listener::Signal, Classification, backend::Cpu> trainer(cpu, {}, {.batch = 30, .learning_rate = 3e-3, .ema1 = 0.95});
  const Samples<Listener::Signal> data(signals, labels);
  while (trainer.step_count() < 120) {
    const StepResult result = trainer.step(data);
    if (result.step % 40 == 0) std::printf("step %d: loss %.3f\n", int(result.step), result.loss);
  }

  auto run = trainer.run(trainer.ema1());
  const auto logits = trainer.model()(run, ops::input<Listener::Signal>(run, unheard));
  std::vector<float> scores(std::size_t(logits.size()));
  ops::output(run, logits, std::span(scores));
  int right = 0;
  for (std::size_t i = 0; i < answers.size(); ++i)
    right += std::max_element(&scores[3 * i], &scores[3 * i] + 3) == &scores[3 * i] + answers[i];
  std::printf("%d of %zu right\n", right, answers.size());
  return right >= 81 ? 0 : 1;
}
