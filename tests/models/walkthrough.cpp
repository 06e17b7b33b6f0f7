// A walk through JiT (arXiv 2511.13720), shape by shape: 256 x 256 images in patches of 32, conditioned in GPT's manner by
// one time token and 32 class tokens. First as types at the published width, then on numbers at a small one.
#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace sfumato;
using backend::Cpu;

namespace {

template <int Width, int Depth, int Through>
using Walk = JiT<ImagePatches<256, 3, 32, 1000>, Transformer<Width, Depth, RMSNorm, SwiGLU, QKNorm, Rotary, TimeToken, Context<32, 0>>, Head<Linear>, Bottleneck<Through>>;

template <class V, int... Extents> constexpr bool has_shape = std::is_same_v<typename std::remove_cvref_t<V>::shape, Shape<dynamic, Extents...>>;

// Every station of the forward pass; `see(station)` gets each value on the way.
template <int Width, class Model, class Ctx, class Z>
constexpr auto walk(Ctx& ctx, const Model& model, const Z& z, std::span<const double> times, std::span<const int> labels) {
  static_assert(has_shape<Z, 3, 256, 256>);                                                            // 1. the noised image
  const auto patches = ops::patchify<32, ops::PatchOrder::channel_row_column>(ctx, z);
  static_assert(has_shape<decltype(patches), 64, 3072>);                                               // 2. 8 x 8 patches of 32 x 32 x 3
  const auto embedded = model.x_embedder.proj2(ctx, model.x_embedder.proj1(ctx, patches));
  static_assert(has_shape<decltype(embedded), 64, Width>);                                             // 3. through the bottleneck
  const auto tokens = ops::add_parameter(ctx, embedded, model.pos_embed);
  const auto time = model.t_embedder(ctx, times);
  const auto label = model.y_embedder(ctx, labels);
  static_assert(has_shape<decltype(time), Width> && has_shape<decltype(label), Width>);
  const auto time_token = ops::reshape<Shape<dynamic, 1, Width>>(ctx, time);
  const auto class_tokens = ops::add_parameter(ctx, ops::broadcast<1, 32>(ctx, label), model.in_context_posemb);
  static_assert(has_shape<decltype(class_tokens), 32, Width>);
  const auto context = ops::concat<axis::tokens>(ctx, time_token, class_tokens);
  static_assert(has_shape<decltype(context), 33, Width>);
  const auto sequence = ops::concat<axis::tokens>(ctx, context, tokens);
  static_assert(has_shape<decltype(sequence), 97, Width>);                                             // 4. time, classes, patches
  auto x = sequence;
  for (const auto& block : model.trunk.blocks) x = block(ctx, x, None{}, std::integral_constant<int, 33>{}, 0, 0);
  static_assert(has_shape<decltype(x), 97, Width>);                                                    // 5. every token sees every token
  const auto seen = ops::slice<axis::tokens, 33, 97>(ctx, x);
  const auto predicted = model.final_layer(ctx, seen, None{});
  static_assert(has_shape<decltype(predicted), 64, 3072>);                                             // 6. each row a clean patch
  const auto image = ops::unpatchify<32, 3, ops::PatchOrder::row_column_channel>(ctx, predicted);
  static_assert(has_shape<decltype(image), 3, 256, 256>);                                              // 7. the image
  return image;
}

using Published = Walk<768, 12, 128>;
static_assert(Published::tokens == 64 && Published::token_dim == 3072 && Published::width == 768);
static_assert(Published::has_context && decltype(Published::trunk)::context_tokens == 33 && decltype(Published::trunk)::context_start == 0);

constexpr Index walked_macs() {
  Count count;
  const Published model{};
  walk<768>(count, model, Count::input<Published::ImageShape>(1), std::span(static_cast<const double*>(nullptr), 1), std::span(static_cast<const int*>(nullptr), 1));
  return count.cost.macs;
}
static_assert(walked_macs() == cost_of<Published>(1).macs);

// 3. 3072 > 768: fatal for velocity and noise, harmless for clean data.
static_assert(FlowObjective<Space::x>::fits<Published> && !FlowObjective<Space::v>::fits<Published> && !FlowObjective<Space::eps>::fits<Published>);
static_assert(FlowObjective<Space::x>::prediction == Space::x && FlowObjective<Space::x>::loss_space == Space::v);

using Small = Walk<64, 2, 16>;

template <class Model = Small> struct Fixture {
  Cpu device{1};
  Weights<Model, Cpu> weights{device};
  Workspace<Cpu> workspace{device};
  Run<Cpu> ctx{workspace, weights.data()};
  Fixture() {
    std::vector<float> numbers(static_cast<std::size_t>(weights.size()));
    initialise(weights.model(), 1, numbers.data());
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] += static_cast<float>(0.02 * Random{2, Stream::user, 0}.normal(i));  // no zero head
    weights.values().upload(numbers);
  }
  template <class V> std::vector<float> host(const V& v) {
    std::vector<float> out(static_cast<std::size_t>(v.size()));
    ops::output(ctx, v, std::span(out));
    return out;
  }
  auto noise() { return ops::normal<typename Model::ImageShape>(ctx, 2, {1, Stream::user, 0}); }
  std::vector<float> predict(const std::vector<double>& times, const std::vector<int>& labels) {
    return host(weights.model()(ctx, noise(), times, labels));
  }
};

// Both ways at once: the time as a token and, with the label, in every block's modulation; three class tokens and the time token
// join before the second block.
using BothTrunk = Transformer<32, 2, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, TimeToken, Context<3, 1>>;
using BothWays = JiT<ImagePatches<16, 1, 4, 5>, BothTrunk, Head<Linear>, Bottleneck<8>>;
static_assert(BothTrunk::modulated && BothTrunk::time_token && BothTrunk::class_tokens == 3 && BothTrunk::context_tokens == 4 && BothTrunk::context_start == 1);
static_assert(BothWays::tokens == 16 && BothWays::token_dim == 16 && BothWays::has_context);
static_assert(std::is_same_v<decltype(BothWays::in_context_posemb)::shape, Shape<1, 3, 32>>);  // the time token has no position

// Two smooth colour images, one per class.
struct Gradients {
  Index size() const { return 2; }
  int load(Index i, bool, float* out) const {
    for (int c = 0; c < 3; ++c)
      for (int y = 0; y < 256; ++y)
        for (int x = 0; x < 256; ++x) *out++ = static_cast<float>(std::sin(0.02 * (i ? x : y) + c));
    return int(i) * 999;
  }
};

}  // namespace

TEST_CASE("JiT's walk: the model is its stations") {
  Fixture<> f;
  const std::vector<double> times{0.2, 0.7};
  const std::vector<int> labels{3, 1000};
  const auto z = f.noise();
  CHECK(f.host(walk<64>(f.ctx, f.weights.model(), z, times, labels)) == f.predict(times, labels));
}

TEST_CASE("JiT's walk: the time token and the class tokens reach the image") {
  Fixture<> f;
  const auto base = f.predict({0.2, 0.7}, {3, 1000});
  const auto later = f.predict({0.2, 0.8}, {3, 1000}), other = f.predict({0.2, 0.7}, {4, 1000});
  const auto same = [&](const std::vector<float>& a, Index sample) {
    return std::equal(a.begin() + sample * 196608, a.begin() + (sample + 1) * 196608, base.begin() + sample * 196608);
  };
  CHECK(same(later, 0));
  CHECK(!same(later, 1));
  CHECK(!same(other, 0));
  CHECK(same(other, 1));
}

TEST_CASE("JiT with a time token and adaLN-Zero: time and label change the image") {
  Fixture<BothWays> f;
  static_assert(has_shape<decltype(f.weights.model()(f.ctx, f.noise(), std::span<const double>(), std::span<const int>())), 1, 16, 16>);
  const auto base = f.predict({0.2, 0.7}, {3, 5});
  CHECK(base.size() == 2 * 256);
  for (const float x : base) CHECK(std::isfinite(x));
  const auto later = f.predict({0.2, 0.8}, {3, 5}), other = f.predict({0.2, 0.7}, {4, 5});
  const auto same = [&](const std::vector<float>& a, Index sample) {
    return std::equal(a.begin() + sample * 256, a.begin() + (sample + 1) * 256, base.begin() + sample * 256);
  };
  CHECK(same(later, 0));
  CHECK(!same(later, 1));
  CHECK(!same(other, 0));
  CHECK(same(other, 1));

  // The time also passes through its token: with every modulation fixed, the trunk still sees it.
  const auto model = f.weights.model();
  const auto patches = ops::normal<Shape<dynamic, 16, 32>>(f.ctx, 1, {2, Stream::user, 0});
  const auto condition = ops::normal<Shape<dynamic, 32>>(f.ctx, 1, {3, Stream::user, 0});
  const auto through = [&](double t) {
    const std::vector<double> time{t};
    const auto token = ops::reshape<Shape<dynamic, 1, 32>>(f.ctx, model.t_embedder(f.ctx, time));
    const auto context = ops::concat<axis::tokens>(f.ctx, token, ops::normal<Shape<dynamic, 3, 32>>(f.ctx, 1, {4, Stream::user, 0}));
    static_assert(has_shape<decltype(context), BothTrunk::context_tokens, 32>);
    const auto y = model.trunk(f.ctx, patches, condition, context);
    static_assert(has_shape<decltype(y), BothWays::tokens, 32>);  // the context has left again
    return f.host(y);
  };
  CHECK(through(0.2) != through(0.8));
}

TEST_CASE("JiT's walk: training in v by x-prediction, then sampling with guidance") {
  Cpu device(1);
  TrainOptions options;
  options.batch = 2;
  options.learning_rate = 2e-3;
  Trainer<Small, Small::ImageShape, FlowObjective<Space::x, Space::v>, Cpu> trainer(device, {}, options);
  // 8. x_theta -> v_theta = (x_theta - z) / (1 - t): the output starts at zero, so the loss at E[x^2] / (1 - t)^2.
  double first = 0, last = 0;
  for (int i = 0; i < 24; ++i) {
    const double loss = trainer.step(Gradients{}).loss;
    if (i < 8) first += loss / 8;
    if (i >= 16) last += loss / 8;
  }
  CHECK(last < 0.8 * first);

  auto ctx = trainer.run(trainer.weights());
  const std::vector<int> labels{0, 999};
  const auto image = sample<Small::ImageShape>(ctx, trainer.model(), trainer.objective, labels, 1, 0, {3, 2, 0.1, 1});
  static_assert(has_shape<decltype(image), 3, 256, 256>);
  CHECK(image.batch == 2);
  std::vector<float> pixels(static_cast<std::size_t>(image.size()));
  ops::output(ctx, image, std::span(pixels));
  double square = 0;
  for (const float p : pixels) square += double(p) * p / double(pixels.size());
  CHECK(std::isfinite(square));
  CHECK(square < 4);
}
