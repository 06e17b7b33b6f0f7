// LatentObjective: the inner objective on an encoder's scaled latents, to which no gradient flows; and runs that know their encoder,
// statistics and times again.
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/schedule.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/weights.hpp>

#include <algorithm>

using namespace train_test;
using backend::Reference;

namespace {

// 4 x 4 tokens of width 8 of grey images, and a DiT-DH on them.
using Encoder = VisionEncoder<EncoderInput<8, 2, 4, Interpolation::cubic, GreyColours>, Transformer<8, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, true, 2>;
using Diffusion = DiTDH<LatentTokens<4, 8, 3>, DiTTrunk<16, 1, 2>, DDT<16, 1, 2>>;
using Scale = LatentScale<16, 8>;
template <Index Base> using Flow = FlowObjective<Space::v, Space::v, Shifted<TruncatedLogitNormal<>, DimensionShift<Shape<dynamic, 16, 8>, Base>>>;
template <class B = Cpu, class E = float, Index Base = 32> using Latent = LatentObjective<Encoder, Flow<Base>, B, E>;
template <Index Base = 32> using LatentTrainer = Trainer<Diffusion, Encoder::ImageShape, Latent<Cpu, float, Base>, Cpu>;

/// Weights that leave nothing at its first zero; with `level` above 0 none are negative, as deviations are not.
template <class Model, class B, class E> void fill(Weights<Model, B, E>& weights, double frequency, double level = 0) {
  std::vector<E> host(static_cast<std::size_t>(weights.size()));
  for (std::size_t i = 0; i < host.size(); ++i) host[i] = static_cast<E>(level + 0.3 * std::sin(frequency * double(i) + 0.1 * double(i % 11)));
  weights.values().upload(host);
}
template <class Model, class B, class E> std::vector<E> elements(const Weights<Model, B, E>& weights) {
  std::vector<E> out(static_cast<std::size_t>(weights.size()));
  weights.values().download(out);
  return out;
}

struct Frozen {
  Weights<Encoder, Cpu> encoder;
  Weights<Scale, Cpu> scale;
  explicit Frozen(Cpu& device) : encoder(device, 5), scale(device, 1) { fill(scale, 0.7, 1); }
  Latent<> objective() const { return {&encoder, &scale, {}}; }
};

}  // namespace

TEST_CASE("latent objective: the inner one on latents by hand, the gradients too, and none for encoder and images") {
  Reference device;
  Weights<Encoder, Reference, double> encoder(device);
  Weights<Scale, Reference, double> scale(device);
  Weights<Diffusion, Reference, double> model(device);
  fill(encoder, 0.37), fill(scale, 0.7, 1), fill(model, 0.23);
  const auto before = elements(encoder), scales = elements(scale);
  const Latent<Reference, double> objective{&encoder, &scale, {.noise_scale = 1.5}};

  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  std::vector<double> images(3 * 64);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = std::sin(0.13 * double(i));
  const std::vector<int> labels{2, 0, 1};
  std::vector<double> latents(3 * 16 * 8);
  {
    Run<Reference, double> ctx(workspace, encoder.values());
    auto unit = images;
    for (double& v : unit) v = (v + 1) / 2;
    ops::output(ctx, encoder.model().encode(ctx, ops::input<Encoder::ImageShape>(ctx, std::span<const double>(unit))), std::span(latents));
    for (std::size_t i = 0; i < latents.size(); ++i) {
      const auto j = i % (16 * 8);
      latents[i] = latents[i] * scales[static_cast<std::size_t>(scale.model().scale.offset) + j] + scales[static_cast<std::size_t>(scale.model().shift.offset) + j];
    }
  }
  Array<Reference, double> gradients(device, model.size());
  struct Result {
    double loss = 0;
    std::vector<double> gradients;
  };
  const StepRandom random{3, 7, 2};
  const auto result = [&](auto&& loss) {
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, model.values(), gradients, random);
    Result out{0, std::vector<double>(static_cast<std::size_t>(gradients.size()))};
    const auto value = loss(ctx);
    ops::output(ctx, value, std::span(&out.loss, 1));
    ctx.backward(value);
    gradients.download(out.gradients);
    return out;
  };
  const auto in = [&]<class S>(S, auto& ctx, const std::vector<double>& values) { return ops::input<S>(ctx, std::span<const double>(values)); };
  const Result by_hand = result([&](auto& ctx) { return objective.inner.loss(ctx, model.model(), in(Scale::LatentShape{}, ctx, latents), labels); });
  const Result found = result([&](auto& ctx) { return objective.loss(ctx, model.model(), in(Encoder::ImageShape{}, ctx, images), labels); });
  CHECK(found.loss == doctest::Approx(by_hand.loss).epsilon(1e-12));
  double largest = 0, apart = 0;
  for (std::size_t i = 0; i < found.gradients.size(); ++i) {
    largest = std::max(largest, std::abs(by_hand.gradients[i]));
    apart = std::max(apart, std::abs(found.gradients[i] - by_hand.gradients[i]));
  }
  CHECK(largest > 1e-2);
  CHECK(apart < 1e-11 * largest);

  // Images that ask for a gradient get none, and what asks for it behind the encoder does.
  Record<Reference, double> ctx(tape, model.values(), gradients, random);
  auto x = in(Encoder::ImageShape{}, ctx, images);
  ctx.require_gradient(x);
  ctx.backward(objective.loss(ctx, model.model(), x, labels));
  CHECK(ctx.gradient_of(x) == nullptr);
  auto z = in(Scale::LatentShape{}, ctx, latents);
  ctx.require_gradient(z);
  ctx.backward(objective.inner.loss(ctx, model.model(), z, labels));
  CHECK(ctx.gradient_of(z) != nullptr);
  CHECK(elements(encoder) == before);
  CHECK(elements(scale) == scales);
}

TEST_CASE("latent objective: a run that is interrupted and resumed is the uninterrupted one, bit for bit, its encoder as it was") {
  const TemporaryDirectory folder;
  Cpu device(2);
  const Frozen frozen(device);
  const auto before = elements(frozen.encoder), scales = elements(frozen.scale);
  LatentTrainer<> whole(device, frozen.objective(), tiny_options()), first(device, frozen.objective(), tiny_options());
  double start = 0, end = 0;
  for (int i = 0; i < 60; ++i) {
    const double loss = whole.step(Waves{}).loss;
    (i < 10 ? start : end) += i < 10 || i >= 50 ? loss : 0;
  }
  CHECK(end < 0.95 * start);
  for (int i = 0; i < 25; ++i) first.step(Waves{});
  save_checkpoint(folder / "a.safetensors", first);

  const Frozen again(device);  // a program that is started anew
  LatentTrainer<> second(device, again.objective(), tiny_options());
  load_checkpoint(folder / "a.safetensors", second);
  CHECK(second.step_count() == 25);
  for (int i = 25; i < 60; ++i) second.step(Waves{});
  CHECK(state(second) == state(whole));
  CHECK(elements(frozen.encoder) == before);
  CHECK(elements(frozen.scale) == scales);

  check_error([&] { LatentTrainer<>(device, {}, tiny_options()); }, "objective-options", {"the encoder"});
  Cpu more(3);  // what tells an encoder apart is the same on any number of threads
  const Frozen elsewhere(more);
  LatentTrainer<> third(more, elsewhere.objective(), tiny_options());
  load_checkpoint(folder / "a.safetensors", third);
  CHECK(third.step_count() == 25);
}

TEST_CASE("latent objective: another encoder, other statistics or another shift is another run") {
  const TemporaryDirectory folder;
  Cpu device(1);
  const Frozen frozen(device);
  LatentTrainer<> trainer(device, frozen.objective(), tiny_options());
  trainer.step(Waves{});
  save_checkpoint(folder / "a.safetensors", trainer);
  const io::SafetensorsFile file(folder / "a.safetensors");
  for (const char* name : {"objective.encoder", "objective.latents", "objective.times.alpha", "objective.times.law", "objective.times.low"})
    CHECK_MESSAGE(file.metadata().contains(name), std::string(name));
  const auto refused = [&](auto& other, std::string_view words, std::string_view not_words) {
    const auto initial = state(other);
    check_error([&] { load_checkpoint(folder / "a.safetensors", other); }, "checkpoint-settings", {words});
    try {
      load_checkpoint(folder / "a.safetensors", other);
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find(not_words) == std::string::npos);
    }
    CHECK(state(other) == initial);
  };
  Frozen another(device);
  initialise(another.encoder.model(), 6, another.encoder.values().data());
  LatentTrainer<> other_encoder(device, another.objective(), tiny_options());
  refused(other_encoder, "objective.encoder: ", "objective.latents");
  load_checkpoint(folder / "a.safetensors", other_encoder, Resume::with_changes);
  CHECK(other_encoder.step_count() == 1);

  Frozen shifted(device);
  fill(shifted.scale, 0.71, 1);
  LatentTrainer<> other_statistics(device, shifted.objective(), tiny_options());
  refused(other_statistics, "objective.latents: ", "objective.encoder");

  LatentTrainer<8> other_base(device, {&frozen.encoder, &frozen.scale, {}}, tiny_options());
  refused(other_base, "objective.times.alpha: 2, this run has 4", "objective.encoder");

  LatentTrainer<> same(device, frozen.objective(), tiny_options());
  load_checkpoint(folder / "a.safetensors", same);
  CHECK(state(same) == state(trainer));
}
