// A small SiT, alone, aligned and with a class token: gradients, and that it learns.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/sit.hpp>
#include <sfumato/train/trainer.hpp>

#include "model_gradient.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace sfumato;
using backend::Cpu;

namespace {

using Latent = ImagePatches<4, 2, 2, 3>;
template <class... More> using Trunk = SiTTrunk<16, 2, 2, More...>;
using Plain = SiT<Latent, Trunk<>>;

/// Of the mean squares of velocity and projection.
template <class Model> void check_gradient() {
  const std::vector<double> times{0.2, 0.7};
  const std::vector<int> labels{0, 3};
  check_model_gradient<Model>([&](auto& ctx, const Model& model) {
    using S = typename Model::ImageShape;
    const auto z = ops::input_from<S>(ctx, 2, [](double* out) { for (int j = 0; j < 2 * int(S::row); ++j) out[j] = std::cos(0.4 * j); });
    const auto square = [&](const auto& x) { return ops::mean_all(ctx, ops::multiply(ctx, x, x)); };
    if constexpr (Model::aligned) {
      const auto both = model.with_projection(ctx, z, times, labels);
      return ops::combine(ctx, 1, square(both.velocity), 0.5, square(both.projection));
    } else {
      return square(model(ctx, z, times, labels));
    }
  });
}

/// Latents of three kinds, of unit variance.
struct Latents {
  Index size() const { return 12; }
  template <class E> int load(Index i, bool, E* out) const {
    for (int j = 0; j < int(Plain::LatentShape::row); ++j) out[j] = static_cast<E>(std::sqrt(2.0) * std::sin(0.9 * j + 2.1 * double(i % 3)));
    return int(i % 3);
  }
};

}  // namespace

TEST_CASE("SiT, REPA and REG: gradients are those of central differences, in every parameter") {
  check_gradient<Plain>();
  check_gradient<SiT<Latent, Trunk<Recompute>, Alignment<1, 6, 8>>>();
  check_gradient<SiT<Latent, Trunk<>, ClassToken<6>, Alignment<1, 6, 8>>>();
  check_gradient<SiT<Latent, Trunk<>, ClassToken<6>, Alignment<2, 6, 8>>>();
}

TEST_CASE("SiT: the first loss is that of predicting nothing, and training lowers it") {
  Cpu cpu(2);
  Trainer<Plain, Plain::LatentShape, FlowObjective<Space::v, Space::v, UniformTime>, Cpu> trainer(cpu, {}, {.batch = 64, .learning_rate = 5e-3, .seed = 2});
  const double first = trainer.step(Latents{}).loss;
  CHECK(first == doctest::Approx(2).epsilon(0.1));  // of noise, 1, and of data of unit variance, 1
  double last = 0;
  for (int i = 0; i < 200; ++i) last = trainer.step(Latents{}).loss;
  CHECK(last < 0.5 * first);
}
