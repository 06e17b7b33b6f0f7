// A small SiT, alone, aligned and with a class token: gradients, and that it learns.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/sit.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

#include "central_difference.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;

namespace {

using Latent = ImagePatches<4, 2, 2, 3>;
template <class... More> using Trunk = SiTTrunk<16, 2, 2, More...>;
using Plain = SiT<Latent, Trunk<>>;

/// Of the mean squares of velocity and projection.
template <class Model> void check_gradient() {
  Reference device;
  Weights<Model, Reference, double> weights(device, 5);
  std::vector<double> host(std::size_t(weights.size()));
  weights.values().download(host);
  for (const ParameterInfo& p : parameter_table(weights.model()))
    for (Index i = 0; i < p.size && !p.frozen; ++i) host[std::size_t(p.offset + i)] += 0.2 * std::sin(0.7 * double(p.offset + i));  // nothing stands behind zeros
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  Array<Reference, double> gradients(device, weights.size());
  const std::vector<double> times{0.2, 0.7};
  const std::vector<int> labels{0, 3};
  const auto loss = [&](bool backward) {
    weights.values().upload(host);
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, weights.values(), gradients, StepRandom{3, 1, 0});
    using S = typename Model::ImageShape;
    const auto z = ops::input_from<S>(ctx, 2, [](double* out) { for (int j = 0; j < 2 * int(S::row); ++j) out[j] = std::cos(0.4 * j); });
    const auto square = [&](const auto& x) { return ops::mean_all(ctx, ops::multiply(ctx, x, x)); };
    const auto value = [&] {
      if constexpr (Model::aligned) {
        const auto both = weights.model().with_projection(ctx, z, times, labels);
        return ops::combine(ctx, 1, square(both.velocity), 0.5, square(both.projection));
      } else {
        return square(weights.model()(ctx, z, times, labels));
      }
    }();
    double out = 0;
    ops::output(ctx, value, std::span(&out, 1));
    if (backward) ctx.backward(value);
    tape.clear();
    return out;
  };
  loss(true);
  std::vector<double> found(host.size());
  gradients.download(found);
  const double largest_of_all = std::abs(*std::max_element(found.begin(), found.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
  for (const ParameterInfo& p : parameter_table(weights.model())) {
    double largest = 0;
    for (Index i = 0; i < p.size; ++i) largest = std::max(largest, std::abs(found[std::size_t(p.offset + i)]));
    INFO(p.name);
    CHECK((largest == 0) == p.frozen);
    for (Index i = 0; i < p.size && !p.frozen; i += std::max<Index>(1, p.size / 3)) {
      const auto at = std::size_t(p.offset + i);
      const double expected = central_difference(host[at], [&] { return loss(false); });
      INFO(i << ": found " << found[at] << ", expected " << expected);
      CHECK(std::abs(found[at] - expected) < 1e-8 * largest_of_all);
    }
  }
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
