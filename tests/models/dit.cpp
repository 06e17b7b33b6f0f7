// A walk through RAE (arXiv 2510.11690), shape by shape, and a small DiT-DH: gradients, its first loss, training.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/design/theorem.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/models/rae.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

#include "check_error.hpp"
#include "model_gradient.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;

namespace {

template <class V, int... Extents> constexpr bool has_shape = std::is_same_v<typename std::remove_cvref_t<V>::shape, Shape<dynamic, Extents...>>;

// 0. Once, before training: images to the tokens of a frozen encoder.
using Walked = RAE<DINOv2_B<>, DiTDH_S<>, ViTDecoder_XL<>>;
constexpr Index encoded_macs() {
  Count ctx;
  const auto tokens = Walked::Encoder{}.encode(ctx, Count::input<Shape<dynamic, 3, 256, 256>>(1));
  static_assert(has_shape<decltype(tokens), 256, 768> && std::is_same_v<decltype(tokens)::shape, Walked::LatentShape>);
  return ctx.cost.macs;
}
static_assert(encoded_macs() == cost_of<Walked::Encoder>(1).macs + 3 * 224 * 256 * (256 + 224));  // of images made smaller

// Every station of DiT-DH-S on the tokens of DINOv2-B.
constexpr Index walked_macs() {
  Count ctx;
  const DiTDH_S<> model{};
  const auto z = Count::input<DiTDH_S<>::ImageShape>(1);
  static_assert(has_shape<decltype(z), 256, 768>);                                       // 1., 2. noise: each feature vector is a token
  const std::span<const double> times(static_cast<const double*>(nullptr), 1);
  const auto time = model.t_embedder(ctx, times);
  const auto condition = ops::silu(ctx, ops::add(ctx, time, model.y_embedder(ctx, std::span(static_cast<const int*>(nullptr), 1))));
  const auto embedded = ops::add_parameter(ctx, model.embedder(ctx, z), model.pos_embed);
  static_assert(has_shape<decltype(embedded), 256, 384>);                                // 3. 384 < 768: too narrow for velocity
  const auto seen = model.trunk(ctx, embedded, condition);
  static_assert(has_shape<decltype(seen), 256, 384>);                                    // 4. relations between tokens
  const auto told = model.head.projector(ctx, ops::silu(ctx, ops::add(ctx, seen, ops::broadcast<axis::tokens, 256>(ctx, time))));
  static_assert(has_shape<decltype(told), 256, 2048>);                                   // 5. widened
  const auto wide = model.head.trunk(ctx, model.head.x_embedder(ctx, z), told);
  static_assert(has_shape<decltype(wide), 256, 2048>);
  const auto velocity = model.head.final_layer(ctx, wide, told);
  static_assert(has_shape<decltype(velocity), 256, 768>);                                // 6. velocity of each token
  return ctx.cost.macs;
}
static_assert(walked_macs() == cost_of<DiTDH_S<>>(1).macs);

// 7. The loop of the sampler: latents from noise. 8. The decoder: images.
using WalkedShift = DimensionShift<Walked::LatentShape>;
using Drawn = decltype(sample<Walked::LatentShape, Euler, ShiftedGrid<WalkedShift>>(
    std::declval<Run<Cpu>&>(), Walked::Diffusion{}, FlowObjective<Space::v, Space::v, Shifted<TruncatedLogitNormal<>, WalkedShift>>{}, std::span<const int>(), 1, 0, {.steps = 49}));
static_assert(has_shape<Drawn, 256, 768>);
constexpr Index decoded_macs() {
  Count ctx;
  const auto images = Walked::Decoder{}.decode(ctx, Count::input<Drawn::shape>(1));
  static_assert(has_shape<decltype(images), 3, 256, 256>);
  return ctx.cost.macs;
}
static_assert(decoded_macs() == cost_of<Walked::Decoder, Walked::LatentShape>(1).macs);

using Small = DiTDH<LatentTokens<2, 6, 3>, DiTTrunk<16, 2, 2, LinearInit<init::UniformFanIn>>, DDT<24, 1, 2>>;
using Latent = Small::ImageShape;
using Objective = FlowObjective<Space::v, Space::v, Shifted<TruncatedLogitNormal<>, DimensionShift<Latent, 6>>>;
static_assert(Objective::fits<Small> && DimensionShift<Latent, 6>::alpha == 2);

/// Latents of three kinds, of unit variance.
struct Latents {
  Index size() const { return 12; }
  template <class E> int load(Index i, bool, E* out) const {
    for (int j = 0; j < int(Latent::row); ++j) out[j] = static_cast<E>(std::sqrt(2.0) * std::sin(0.9 * j + 2.1 * double(i % 3)));
    return int(i % 3);
  }
};

template <class Model> void check_gradient() {
  const std::vector<int> labels{0, 2};
  check_model_gradient<Model>([&](auto& ctx, const Model& model) {
    const auto x = ops::input_from<Latent>(ctx, 2, [](double* out) { for (int j = 0; j < 2 * int(Latent::row); ++j) out[j] = std::cos(0.4 * j); });
    return Objective{}.loss(ctx, model, x, labels);
  });
}

}  // namespace

TEST_CASE("DiT-DH: the gradient of the loss is that of central differences, in every parameter") { check_gradient<Small>(); }
TEST_CASE("DiT, and DiT-DH whose head is as wide as its trunk: likewise") {
  check_gradient<DiT<LatentTokens<2, 6, 3>, DiTTrunk<16, 2, 2>>>();
  check_gradient<DiTDH<LatentTokens<2, 6, 3>, DiTTrunk<16, 1, 2, Recompute>, DDT<16, 1, 2>>>();
}

TEST_CASE("a path's floor is the mean of the eigenvalues that do not fit through it") {
  const std::vector<double> spectrum{0.5, 3, 0, 1};
  for (const auto& [width, floor] : std::vector<std::pair<int, double>>{{0, 8.5 / 4}, {1, 4.5 / 4}, {2, 2.5 / 4}, {3, 1.0 / 4}, {4, 0}, {9, 0}}) CHECK(velocity_floor(spectrum, width) == doctest::Approx(floor));
  const std::vector<double> point(8, 0.0);
  for (int width = 0; width < 10; ++width) CHECK(velocity_floor(point, width) == doctest::Approx(one_image_floor<8>(width)));
  const std::vector<double> none, negative{1, -0.5};
  check_error([&] { velocity_floor(none, 1); }, "spectrum", {"at least one"});
  check_error([&] { velocity_floor(negative, 1); }, "spectrum", {"-0.5"});
}

TEST_CASE("DiT-DH: the first loss is that of predicting nothing, training lowers it, and samples are like the data") {
  Cpu cpu(2);
  Trainer<Small, Latent, Objective, Cpu> trainer(cpu, {}, {.batch = 64, .learning_rate = 5e-3, .seed = 2});
  const double first = trainer.step(Latents{}).loss;
  CHECK(first == doctest::Approx(2).epsilon(0.1));  // of noise, 1, and of data of unit variance, 1
  double last = 0;
  for (int i = 0; i < 400; ++i) last = trainer.step(Latents{}).loss;
  CHECK(last < 0.5 * first);
  auto run = trainer.run(trainer.weights());
  const std::vector<int> labels{0, 1, 2};
  using Grid = ShiftedGrid<DimensionShift<Latent, 6>>;
  const auto drawn = sample<Latent, Euler, Grid>(run, trainer.model(), trainer.objective, labels, 1, 0, {.steps = 49});
  std::vector<float> values(std::size_t(drawn.size()));
  ops::output(run, drawn, std::span(values));
  double difference = 0;
  for (int b = 0; b < 3; ++b) {
    std::vector<float> wanted(static_cast<std::size_t>(Latent::row));
    Latents{}.load(b, false, wanted.data());
    for (std::size_t j = 0; j < wanted.size(); ++j) difference += std::pow(values[std::size_t(b) * wanted.size() + j] - wanted[j], 2) / double(3 * wanted.size());
  }
  CHECK(difference < 0.3);  // of 1
}
