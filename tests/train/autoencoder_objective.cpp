// The autoencoder's objective: gradients, its parts by hand, and a run that learns.
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/train/autoencoder_objective.hpp>

#include "check_error.hpp"
#include "model_gradient.hpp"

#include <cmath>
#include <vector>

using namespace train_test;
using backend::Reference;

namespace {

using VAE = AutoencoderKL<8, 1, 2, Stages<4, 8>, 1, 2>;

/// Mean square of the difference: a distance without a network.
struct Square {
  template <class Visit> void for_each_option(Visit&&) const {}
  template <class Ctx, class X, class Y> auto operator()(Ctx& ctx, const X& x, const Y& y) const {
    const auto d = ops::subtract(ctx, x, y);
    return ops::mean_all(ctx, ops::multiply(ctx, d, d));
  }
};
using Objective_ = AutoencoderObjective<Square>;

}  // namespace

TEST_CASE("the autoencoder's objective: gradients in every parameter but the keys' biases, which scores do not see") {
  const std::vector<double> images = [] {
    std::vector<double> x(2 * 64);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.7 * double(i));
    return x;
  }();
  for (const double weight : {0.0, 0.5})
    check_model_gradient<VAE>([&](auto& ctx, const VAE& model) {
      return Objective_{.perceptual_weight = weight, .divergence_weight = 0.1}.loss(ctx, model, ops::input<VAE::ImageShape>(ctx, std::span<const double>(images)), {});
    }, 1e-7, "to_k.bias");
}

TEST_CASE("the autoencoder's objective is L1, the distance and the divergence, by their weights") {
  Reference device;
  Weights<VAE, Reference, double> weights(device, 3);
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  std::vector<double> images(3 * 64);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = std::cos(0.4 * double(i));
  const StepRandom random{.seed = 4, .step = 6, .first_sample = 2};
  const auto number = [&](auto& ctx, const auto& v) {
    double out = 0;
    ops::output(ctx, v, std::span(&out, 1));
    return out;
  };
  double expected = 0, found = 0;
  {
    Record<Reference, double> ctx(tape, weights.values(), nullptr, random);
    const auto x = ops::input<VAE::ImageShape>(ctx, std::span<const double>(images));
    const auto posterior = weights.model().encode(ctx, x);
    std::vector<double> mean(std::size_t(posterior.mean.size())), deviation(mean.size());
    ops::output(ctx, posterior.mean, std::span(mean));
    ops::output(ctx, posterior.deviation(ctx), std::span(deviation));
    const Random noise{4, Stream::posterior, 6};
    double divergence = 0;
    for (std::size_t i = 0; i < mean.size(); ++i) {
      divergence += 0.5 * (mean[i] * mean[i] + deviation[i] * deviation[i] - 1 - 2 * std::log(deviation[i]));
      mean[i] += deviation[i] * noise.normal(2 * std::size_t(VAE::LatentShape::row) + i);
    }
    std::vector<double> made(images.size());
    ops::output(ctx, weights.model().decode(ctx, ops::input<VAE::LatentShape>(ctx, std::span<const double>(mean))), std::span(made));
    double l1 = 0, square = 0;
    for (std::size_t i = 0; i < made.size(); ++i) l1 += std::abs(made[i] - images[i]) / double(made.size()), square += std::pow(made[i] - images[i], 2) / double(made.size());
    expected = 0.5 * l1 + 0.7 * square + 0.01 * divergence / double(images.size());
    found = number(ctx, Objective_{.perceptual_weight = 0.7, .divergence_weight = 0.01}.loss(ctx, weights.model(), x, {}));
    tape.clear();
  }
  CHECK(found == doctest::Approx(expected).epsilon(1e-12));
  check_error([] { Objective_{.divergence_weight = -1}.validate(); }, "objective-options", {"divergence_weight", "-1"});
}

TEST_CASE("an autoencoder learns") {
  Cpu cpu(2);
  Trainer<VAE, VAE::ImageShape, Objective_, Cpu> trainer(cpu, {}, {.batch = 16, .learning_rate = 5e-3, .seed = 2});
  const double first = trainer.step(Waves{}).loss;
  double last = 0;
  for (int i = 0; i < 150; ++i) last = trainer.step(Waves{}).loss;
  CHECK(last < 0.3 * first);
}
