// A decoder's losses and its adversary: gradients, the adaptive weight, who is trained and who is not, turns, checkpoints.
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/train/adversary.hpp>
#include <sfumato/train/feature_distance.hpp>

#include "central_difference.hpp"
#include "check_error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

using namespace train_test;
using backend::Reference;

namespace {

using Encoder = VisionEncoder<EncoderInput<8, 4, 2, Interpolation::cubic, GreyColours>, Transformer<16, 2, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, true>;
using Decoder = ViTDecoder<LatentTokens<2, 16, 3>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, 4, GreyColours>;
using Watcher = Discriminator<Encoder, 3, 0, 1>;
using Image = Decoder::ImageShape;
template <class B, class E> using Distance = FeatureDistance<Encoder, B, E, 0, 1>;
template <class B, class E> using Whole = DecoderObjective<Encoder, B, E, Distance<B, E>, AdversarialLoss<Watcher, B, E>>;
template <class E = float> using Turns = DecoderTrainer<Encoder, Decoder, Watcher, Distance<Cpu, E>, Cpu, E>;

constexpr Index images = 3;
std::vector<double> waves() {
  std::vector<double> x(std::size_t(images * Image::row));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.37 * double(i)) * std::cos(0.05 * double(i));
  return x;
}

/// The whole loss, in double, of a decoder whose last layer does not start at nothing.
struct Bench {
  Reference device;
  Weights<Encoder, Reference, double> encoder{device, 1};
  Weights<Watcher, Reference, double> watcher{device, 2};
  Weights<Decoder, Reference, double> decoder{device, 3};
  Workspace<Reference> workspace{device};
  Tape<Reference, double> tape{workspace};
  Array<Reference, double> gradients{device, decoder.size()};
  Whole<Reference, double> objective{.encoder = &encoder, .distance = {&encoder}, .adversary = {&encoder, &watcher.model(), &watcher.values()}};
  std::vector<double> host = std::vector<double>(std::size_t(decoder.size())), x = waves();
  std::vector<double> d_x = {};
  Index step = 5;

  Bench() {
    for (int i = 0; i < 3; ++i) iterate_power(workspace, watcher.model(), watcher.values());
    decoder.values().download(host);
  }
  double operator()(bool backward = false) {
    decoder.values().upload(host);
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, decoder.values(), gradients, {.seed = 11, .step = std::uint32_t(step)});
    auto real = ops::input<Image>(ctx, x);
    ctx.require_gradient(real);
    const auto loss = objective.loss(ctx, decoder.model(), real, {});
    double out = 0;
    ops::output(ctx, loss, std::span(&out, 1));
    if (backward) {
      ctx.backward(loss);
      CHECK(ctx.gradient_of(real) == nullptr);  // none through the encoder, nor anywhere else
    }
    tape.clear();
    return out;
  }
  std::vector<double> gradient() {
    (*this)(true);
    std::vector<double> out(host.size());
    gradients.download(out);
    return out;
  }
  /// Squared length of the gradient of decoder_pred.weight.
  double last_layer(const std::vector<double>& gradient) const {
    const auto& p = decoder.model().pred.weight;
    double sum = 0;
    for (Index i = 0; i < std::remove_cvref_t<decltype(p)>::size; ++i) sum += gradient[std::size_t(p.offset + i)] * gradient[std::size_t(p.offset + i)];
    return std::sqrt(sum);
  }
};

void check_gradient(Bench& bench) {
  const auto found = bench.gradient();
  double largest = 0;
  for (const ParameterInfo& p : parameter_table(bench.decoder.model())) {
    if (p.frozen) continue;
    for (Index i = 0; i < p.size; i += std::max<Index>(1, p.size / 3)) {
      const std::size_t at = std::size_t(p.offset + i);
      const double expected = central_difference(bench.host[at], [&] { return bench(); }, 1e-6);
      INFO(p.name << "[" << i << "]");
      CHECK(found[at] == doctest::Approx(expected).epsilon(1e-5).scale(1e-2));
      largest = std::max(largest, std::abs(expected));
    }
  }
  CHECK(largest > 1e-2);
}

double mean_of(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size()); }
template <class Ctx, class V> std::vector<double> numbers(Ctx& ctx, const V& v) {
  std::vector<double> out(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(out));
  return out;
}
/// What a decoder makes of images, without noise, in [-1, 1].
template <class B, class E> std::vector<double> painted(Tape<B, E>& tape, const Weights<Encoder, B, E>& encoder, const Decoder& decoder, const Array<B, E>& weights, const std::vector<double>& of) {
  Record<B, E> ctx(tape, weights, nullptr);  // which rounds where training does
  const auto out = numbers(ctx, decoder.template decode<Range::signed_unit>(ctx, frozen_latents(ctx, encoder, ops::input<Image>(ctx, of))));
  tape.clear();
  return out;
}
std::vector<double> of_eight_bits(std::vector<double> x) {
  for (double& v : x) v = std::round(255 * (std::clamp(v, -1.0, 1.0) + 1) / 2) * 2 / 255 - 1;
  return x;
}
/// What a discriminator says of images, augmented as `random` and `site` have it.
template <class B, class E> std::vector<double> opinions(Tape<B, E>& tape, const StepRandom& random, const Weights<Encoder, B, E>& network, const Watcher& watcher, const Array<B, E>& weights,
                                                                   const std::vector<double>& of, std::uint64_t site) {
  Record<B, E> ctx(tape, weights, nullptr, random);
  auto frozen = ctx.frozen(network.values());
  const auto out = numbers(ctx, watcher(frozen, ctx, network.model(), augment(ctx, ops::input<Image>(ctx, of), site)));
  tape.clear();
  return out;
}
/// Each opinion's in elements E, as in training.
template <class E> double hinge_loss(const std::vector<double>& of_real, const std::vector<double>& of_made) {
  double real = 0, made = 0;
  for (const double d : of_real) real += static_cast<double>(E(std::max(0.0, 1 - d)));
  for (const double d : of_made) made += static_cast<double>(E(std::max(0.0, 1 + d)));
  return 0.5 * real / double(of_real.size()) + 0.5 * made / double(of_made.size());
}

template <class E = float> std::unique_ptr<Turns<E>> turns(Cpu& cpu, const Weights<Encoder, Cpu, E>& encoder, Index from = 1, Index heeded_from = 2) {
  return std::make_unique<Turns<E>>(cpu, typename Turns<E>::Objective{.encoder = &encoder, .distance = {&encoder}, .adversarial = {.from = heeded_from}}, encoder, tiny_options(), AdamW{},
                                    typename Turns<E>::DiscriminatorOptions{.train = tiny_options(), .from = from});
}

}  // namespace

TEST_CASE("decoder loss: gradients of all of it, the adversary's weight held") {
  Bench bench;
  bench.objective.adversarial.adaptive = 0.8;
  check_gradient(bench);
  bench.objective.law = NoiseLaw::half_normal;
  check_gradient(bench);
}
TEST_CASE("decoder loss: gradients of L1 and perceptual distance alone") {
  Bench bench;
  bench.objective.adversarial.from = 6;  // not yet
  const double without = bench();
  check_gradient(bench);
  bench.objective.adversarial.from = 5;
  CHECK(bench() != without);
}

TEST_CASE("decoder loss: the adaptive weight is how strongly each moves the last layer") {
  Bench bench;
  const double adaptive = bench();
  const auto whole = bench.gradient();
  const auto with = [&](double perceptual, double adaptive_weight) {
    bench.objective.adversarial.adaptive = adaptive_weight;
    bench.objective.perceptual_weight = perceptual;
    return bench.gradient();
  };
  const auto faithful = with(1, 0), both = with(1, 1);
  std::vector<double> opinion(both.size());
  for (std::size_t i = 0; i < both.size(); ++i) opinion[i] = (both[i] - faithful[i]) / 0.75;
  const double adaptive_weight = bench.last_layer(faithful) / (bench.last_layer(opinion) + 1e-6);
  CHECK(adaptive_weight > 0.01);
  bench.objective.adversarial.adaptive = adaptive_weight;
  CHECK(bench() == doctest::Approx(adaptive).epsilon(1e-9));
  const auto held = bench.gradient();
  for (std::size_t i = 0; i < held.size(); ++i) CHECK(held[i] == doctest::Approx(whole[i]).epsilon(1e-7).scale(1e-3));
  // It is limited.
  bench.objective.adversarial.adaptive = adaptive_weight / 2;
  const double half = bench();
  bench.objective.adversarial.adaptive.reset();
  bench.objective.adversarial.largest_adaptive = adaptive_weight / 2;
  CHECK(bench() == doctest::Approx(half).epsilon(1e-12));
}

TEST_CASE("decoder loss: what it is made of") {
  Bench bench;
  bench.objective.tau = 0;
  bench.objective.adversarial.adaptive = 0;
  bench.objective.perceptual_weight = 0;
  const double l1 = bench();
  // By hand: the mean of |difference| in units of [0, 1].
  Run<Reference, double> run(bench.workspace, bench.decoder.values());
  auto encoded = run.frozen(bench.encoder.values());
  const auto z = bench.encoder.model()(encoded, bench.encoder.model().normalise<Range::signed_unit>(encoded, ops::input<Image>(run, bench.x)));
  std::vector<double> made(bench.x.size());
  ops::output(run, bench.decoder.model().decode<Range::unit>(run, z), std::span(made));
  double expected = 0;
  for (std::size_t i = 0; i < made.size(); ++i) expected += std::abs(made[i] - 0.5 * (bench.x[i] + 1)) / double(made.size());
  CHECK(l1 == doctest::Approx(expected).epsilon(1e-12));
  // Noise: one strength a sample, within its law; another step draws another.
  for (const NoiseLaw law : {NoiseLaw::uniform, NoiseLaw::half_normal}) {
    bench.objective.law = law;
    bench.objective.tau = 0.8;
    std::vector<double> strengths;
    for (std::uint32_t step = 0; step < 400; ++step) {
      Record<Reference, double> ctx(bench.tape, nullptr, nullptr, {.seed = 1, .step = step});
      const auto nothing = ops::input_from<Shape<dynamic, 4, 16>>(ctx, 2, [](double* out) { std::fill_n(out, 128, 0.0); });
      std::vector<double> noise(128);
      ops::output(ctx, bench.objective.noised(ctx, nothing), std::span(noise));
      for (int b = 0; b < 2; ++b) {
        double square = 0;
        for (int i = 0; i < 64; ++i) square += noise[std::size_t(64 * b + i)] * noise[std::size_t(64 * b + i)] / 64;
        strengths.push_back(std::sqrt(square));
      }
    }
    double mean = 0, largest = 0;
    for (const double s : strengths) mean += s / double(strengths.size()), largest = std::max(largest, s);
    const bool uniform = law == NoiseLaw::uniform;
    CHECK(mean == doctest::Approx(uniform ? 0.4 : 0.8 * std::sqrt(2 / 3.14159265358979)).epsilon(0.08));
    CHECK((uniform ? largest < 0.8 * 1.5 : largest > 1.6));
  }
}

TEST_CASE("decoder loss: options that mean nothing are refused") {
  Bench bench;
  bench.objective.tau = -1;
  check_error([&] { bench(); }, "objective-options", {"tau", "-1"});
  bench.tape.clear();
  bench.objective.tau = 0;
  bench.objective.adversarial.weight = std::numeric_limits<double>::infinity();
  check_error([&] { bench(); }, "objective-options", {"adversarial.weight", "inf"});
  bench.objective.adversarial.weight = 1;
  bench.objective.adversarial.adaptive = -2;
  check_error([&] { bench(); }, "objective-options", {"adversarial.adaptive", "-2"});
  Cpu cpu(1);
  const Weights<Encoder, Cpu> encoder(cpu, 1);
  // Before anything is trained, or overwritten.
  check_error([&] { Turns<>(cpu, Turns<>::Objective{.encoder = &encoder, .distance = {&encoder}, .tau = -1}, encoder, tiny_options(), AdamW{}, {.train = tiny_options()}); }, "objective-options", {"tau", "-1"});
  check_error([&] { turns(cpu, encoder, 3, 2); }, "train-options", {"2", "3"});
  check_error([&] { turns(cpu, encoder, -1, 2); }, "train-options", {"-1"});
}

TEST_CASE("discriminator loss: gradients, its value by hand, and that it learns to tell images from a decoder's, the right way round") {
  Reference device;
  const Weights<Encoder, Reference, double> encoder(device, 1);
  const Weights<Decoder, Reference, double> decoder(device, 3);
  Weights<Watcher, Reference, double> watcher(device, 2);
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  Array<Reference, double> gradients(device, watcher.size());
  iterate_power(workspace, watcher.model(), watcher.values());
  std::vector<double> host(std::size_t(watcher.size())), found(host), x = waves();
  watcher.values().download(host);
  const DiscriminatorObjective<DecodedLatents<Encoder, Decoder, Reference, double>, Watcher, Reference, double> objective{{&encoder, &decoder.model(), &decoder.values()}, &encoder};
  const StepRandom random{.seed = 11, .step = 3};
  const auto loss = [&](bool backward) {
    watcher.values().upload(host);
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, watcher.values(), gradients, random);
    const auto value = objective.loss(ctx, watcher.model(), ops::input<Image>(ctx, x), {});
    double out = 0;
    ops::output(ctx, value, std::span(&out, 1));
    if (backward) ctx.backward(value);
    tape.clear();
    return out;
  };
  loss(true);
  gradients.download(found);
  for (const ParameterInfo& p : parameter_table(watcher.model())) {
    const std::size_t at = std::size_t(p.offset + p.size / 2);
    INFO(p.name);
    if (p.frozen) CHECK(found[at] == 0);  // u and v follow the weights
    else CHECK(found[at] == doctest::Approx(central_difference(host[at], [&] { return loss(false); }, 1e-6)).epsilon(1e-5).scale(1e-2));
  }
  const auto made = of_eight_bits(painted(tape, encoder, decoder.model(), decoder.values(), x));
  const auto says = [&](const std::vector<double>& of, std::uint64_t site) { return opinions(tape, random, encoder, watcher.model(), watcher.values(), of, site); };
  const double before = loss(false);
  CHECK(before == doctest::Approx(hinge_loss<double>(says(x, 1), says(made, 2))).epsilon(1e-12));
  for (int i = 0; i < 100; ++i) {
    iterate_power(workspace, watcher.model(), watcher.values());
    watcher.values().download(host);
    loss(true);
    gradients.download(found);
    for (const ParameterInfo& p : parameter_table(watcher.model()))
      for (Index k = p.offset; !p.frozen && k < p.offset + p.size; ++k) host[std::size_t(k)] -= 0.1 * found[std::size_t(k)];
    watcher.values().upload(host);
  }
  CHECK(loss(false) < 0.9 * before);
  CHECK(mean_of(says(x, 1)) > mean_of(says(made, 2)) + 0.1);
  // Sure enough for either hinge to be flat.
  host[std::size_t(watcher.model().heads[0].leave.bias.offset)] += 2;
  host[std::size_t(watcher.model().heads[1].leave.bias.offset)] -= 2;
  const double sure = loss(false);
  const auto of_real = says(x, 1), of_made = says(made, 2);
  CHECK(*std::max_element(of_real.begin(), of_real.end()) > 1.5);
  CHECK(*std::min_element(of_made.begin(), of_made.end()) < -1.5);
  CHECK(sure == doctest::Approx(hinge_loss<double>(of_real, of_made)).epsilon(1e-12));
  const AdversarialLoss<Watcher, Reference, double> adversarial{&encoder, &watcher.model(), &watcher.values()};
  const auto against = [&](const std::vector<double>& of) {
    Record<Reference, double> ctx(tape, nullptr, nullptr, random);
    const double out = numbers(ctx, adversarial(ctx, ops::input<Image>(ctx, of))).front();
    tape.clear();
    return out;
  };
  CHECK(against(x) == doctest::Approx(-mean_of(says(x, 0))).epsilon(1e-12));
  CHECK(against(made) == doctest::Approx(-mean_of(says(made, 0))).epsilon(1e-12));
}

TEST_CASE("feature distance: unit vectors' squared differences, summed over channels and blocks, averaged over places and samples, by hand") {
  Reference device;
  const Weights<Encoder, Reference, double> encoder(device, 1);
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  const std::vector<double> x = waves();
  std::vector<double> y = x;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = 0.8 * y[i] + 0.3 * std::cos(1.1 * double(i));
  double expected = 0;
  {
    Run<Reference, double> run(workspace, encoder.values());
    const auto features = [&](const std::vector<double>& of) {
      const auto seen = encoder.model().taps<0, 1>(run, encoder.model().normalise<Range::signed_unit>(run, ops::input<Image>(run, of)));
      return std::array{numbers(run, std::get<0>(seen)), numbers(run, std::get<1>(seen))};
    };
    const auto of_x = features(x), of_y = features(y);
    constexpr std::size_t width = Encoder::width;
    for (std::size_t tap = 0; tap < 2; ++tap) {
      const std::size_t places = of_x[tap].size() / width;  // of all samples
      REQUIRE(places == std::size_t(images * Encoder::tokens));
      for (std::size_t p = 0; p < places; ++p) {
        const double *a = &of_x[tap][p * width], *b = &of_y[tap][p * width];
        const double a_length = std::sqrt(std::inner_product(a, a + width, a, 0.0)), b_length = std::sqrt(std::inner_product(b, b + width, b, 0.0));
        for (std::size_t c = 0; c < width; ++c) expected += std::pow(a[c] / a_length - b[c] / b_length, 2) / double(places);
      }
    }
  }
  CHECK(expected > 0.01);
  Record<Reference, double> ctx(tape, nullptr, nullptr);
  auto left = ops::input<Image>(ctx, x), right = ops::input<Image>(ctx, y);
  ctx.require_gradient(left);
  ctx.require_gradient(right);
  const Distance<Reference, double> distance{&encoder};
  CHECK(numbers(ctx, distance(ctx, left, left)).front() == 0);
  const auto found = distance(ctx, left, right);
  CHECK(numbers(ctx, found).front() == doctest::Approx(expected).epsilon(1e-12));
  ctx.backward(found);
  CHECK(ctx.gradient_of(left) != nullptr);
  CHECK(ctx.gradient_of(right) == nullptr);
}

TEST_CASE("turns: who is trained when, and that the frozen ones stay") {
  Cpu cpu(1);
  Weights<Encoder, Cpu> encoder(cpu, 1);
  const auto bits = [&] {
    std::vector<float> out(std::size_t(encoder.size()));
    encoder.values().download(out);
    return out;
  };
  const auto before = bits();
  const auto trainer = turns(cpu, encoder);
  CHECK(trainer->discriminator_loss() == 0);
  for (Index step = 1; step <= 5; ++step) {
    CHECK(trainer->step(Waves{}).step == step);
    CHECK(trainer->discriminator().step_count() == step - 1);
  }
  CHECK(trainer->discriminator_loss() > 0);
  CHECK(bits() == before);
  // u and v are of the weights now, in their averages too.
  auto& watcher = trainer->discriminator();
  const auto u_of = [&](const Array<Cpu, float>& array) {
    std::vector<float> u(16);
    array.download(u, watcher.model().heads[0].mix.weight_u.offset);
    return u;
  };
  CHECK(u_of(watcher.weights()) == u_of(watcher.ema1()));
  CHECK(u_of(watcher.weights()) == u_of(watcher.ema2()));
  // Until the opinion counts, the decoder is that of a training without an adversary.
  const auto alone = [&](Index steps) {
    using Alone = DecoderObjective<Encoder, Cpu, float, Distance<Cpu, float>>;
    Trainer<Decoder, Image, Alone, Cpu> plain(cpu, {.encoder = &encoder, .distance = {&encoder}}, tiny_options());
    const auto both = turns(cpu, encoder);
    for (Index i = 0; i < steps; ++i) plain.step(Waves{}), both->step(Waves{});
    std::vector<float> a(std::size_t(plain.weights().size())), b(a);
    plain.weights().download(a);
    both->weights().download(b);
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, double(std::abs(a[i] - b[i])));
    return worst;
  };
  CHECK(alone(2) < 1e-3);  // Adam's first steps are of one length: rounding may turn them where a gradient is next to nothing
  CHECK(alone(4) > 1e-3);
}

// One image is every batch; a discriminator that learns nothing keeps the weights its loss was taken with.
TEST_CASE_TEMPLATE("turns: the discriminator is shown what the decoder makes after its step, without noise, of 8 bits", E, double, bf16) {
  Cpu cpu(1);
  const Weights<Encoder, Cpu, E> encoder(cpu, 1);
  auto still = tiny_options();
  still.learning_rate = 0;
  Turns<E> trainer(cpu, {.encoder = &encoder, .distance = {&encoder}, .adversarial = {.from = 1}}, encoder, tiny_options(), AdamW{}, {.train = still});
  const Waves one{.count = 1};
  std::vector<double> image(static_cast<std::size_t>(Image::row)), batch;
  one.load(0, false, image.data());
  for (Index i = 0; i < still.batch; ++i) batch.insert(batch.end(), image.begin(), image.end());

  auto& watcher = trainer.discriminator();
  Workspace<Cpu> workspace(cpu);
  Tape<Cpu, E> tape(workspace);
  const auto copied = [&](const auto& weights) {
    std::vector<typename Turns<E>::master> values(std::size_t(weights.size()));
    weights.download(values);
    Array<Cpu, E> out(cpu, weights.size());
    out.upload(std::vector<E>(values.begin(), values.end()));
    return out;
  };
  for (std::uint32_t step = 0; step < 3; ++step) {
    const auto before = copied(trainer.weights());
    trainer.step(one);
    const auto after = copied(trainer.weights()), average = copied(trainer.ema1()), heads = copied(watcher.weights());
    const auto loss = [&](const std::vector<double>& made) {
      const StepRandom random{.seed = still.seed, .step = step};
      const auto says = [&](const std::vector<double>& of, std::uint64_t site) { return opinions(tape, random, encoder, watcher.model(), heads, of, site); };
      return hinge_loss<E>(says(batch, 1), says(made, 2));
    };
    const auto shown = [&](const Array<Cpu, E>& weights) { return painted(tape, encoder, trainer.model(), weights, batch); };
    const double bound = std::is_same_v<E, double> ? 1e-12 : 1e-6, found = trainer.discriminator_loss();
    CHECK(std::abs(found - loss(of_eight_bits(shown(after)))) < bound);
    // The bound tells these apart.
    for (const double other : {loss(of_eight_bits(shown(before))), loss(of_eight_bits(shown(average))), loss(shown(after))}) CHECK(std::abs(found - other) > 10 * bound);
  }
}

TEST_CASE("turns: an interrupted run goes on bit for bit, and its file is a decoder's") {
  const TemporaryDirectory folder;
  const auto path = folder / "run.safetensors";
  Cpu cpu(1);
  const Weights<Encoder, Cpu> encoder(cpu, 1);
  const auto whole = turns(cpu, encoder), begun = turns(cpu, encoder), resumed = turns(cpu, encoder);
  const auto run = [&](Turns<>& trainer, Index steps) { run_training(trainer, Waves{}, {.steps = steps, .checkpoint = path, .report_every = 1}, [](const Progress&) {}); };
  run(*whole, 7);
  run(*begun, 1);  // the adversary has not begun
  load_checkpoint(path, *resumed);
  CHECK(resumed->discriminator().step_count() == 0);
  run(*resumed, 4);
  const auto again = turns(cpu, encoder);
  load_checkpoint(path, *again);
  CHECK(again->discriminator().step_count() == 3);
  run(*again, 7);
  CHECK(all_of(*again) == all_of(*whole));

  Weights<Decoder, Cpu> decoder(cpu);
  load_weights(path, decoder);
  std::vector<float> read(std::size_t(decoder.size())), average(read);
  decoder.values().download(read);
  again->ema1().download(average);
  CHECK(read == average);

  // Other beginnings, other options, other kinds of runs.
  const auto other = turns(cpu, encoder, 2, 2);
  const auto untouched = all_of(*other);
  check_error([&] { load_checkpoint(path, *other); }, "checkpoint-settings", {"discriminator.objective.from: 1, this run has 2"});
  CHECK(all_of(*other) == untouched);
  load_checkpoint(path, *other, Resume::with_changes);
  check_error([&] { other->step(Waves{}); }, "train-options", {"7", "6", "5"});
  const auto later = turns(cpu, encoder, 1, 3);
  check_error([&] { load_checkpoint(path, *later); }, "checkpoint-settings", {"objective.adversarial.from: 2, this run has 3"});
  using Alone = DecoderObjective<Encoder, Cpu, float, Distance<Cpu, float>>;
  Trainer<Decoder, Image, Alone, Cpu> plain(cpu, {.encoder = &encoder, .distance = {&encoder}}, tiny_options());
  check_error([&] { load_checkpoint(path, plain); }, "checkpoint-settings", {"discriminator.objective: discriminator, this run has none"});
  plain.step(Waves{});
  save_checkpoint(path, plain);
  check_error([&] { load_checkpoint(path, *later); }, "checkpoint-metadata", {"discriminator.step"});
  CHECK(all_of(*later) == untouched);
}

TEST_CASE("turns: in bf16 too") {
  Cpu cpu(1);
  const Weights<Encoder, Cpu, bf16> encoder(cpu, 1);
  const auto trainer = turns<bf16>(cpu, encoder, 0, 0);
  const Weights<Encoder, Cpu> same(cpu, 1);
  const auto single = turns<float>(cpu, same, 0, 0);
  for (int i = 0; i < 3; ++i) CHECK(trainer->step(Waves{}).loss == doctest::Approx(single->step(Waves{}).loss).epsilon(i == 0 ? 0.05 : 0.3));  // which drift apart
  CHECK(trainer->discriminator_loss() == doctest::Approx(single->discriminator_loss()).epsilon(0.1));
}

TEST_CASE("turns: the same bits on any number of threads, and no memory taken once all have begun") {
  Cpu one(1), more(3);
  const Weights<Encoder, Cpu> of_one(one, 1), of_more(more, 1);
  const auto a = turns(one, of_one), b = turns(more, of_more);
  for (int i = 0; i < 4; ++i) CHECK(a->step(Waves{}).loss == b->step(Waves{}).loss);
  CHECK(all_of(*a) == all_of(*b));
  const auto taken = [&] { return a->workspace().allocations() + a->discriminator().workspace().allocations(); };
  const Index before = taken();
  for (int i = 0; i < 3; ++i) a->step(Waves{});
  CHECK(taken() == before);
}

TEST_CASE("turns: what is not finite says whose step it was, and a missing network which") {
  Cpu cpu(1);
  const Weights<Encoder, Cpu> encoder(cpu, 1);
  const auto trainer = turns(cpu, encoder, 0, 5);
  trainer->step(Waves{});
  auto& heads = trainer->discriminator();
  heads.weights().upload(std::vector<float>(16, std::numeric_limits<float>::infinity()), heads.model().heads[0].leave.bias.offset);
  check_error([&] { trainer->step(Waves{}); }, "non-finite-loss", {"discriminator", "generator's step 2"});
  check_error([&] { trainer->step(Waves{}); }, "train-options", {"after 2 steps", "discriminator has done 1"});
  using Plain = DecoderObjective<Encoder, Cpu, float, Distance<Cpu, float>>;
  check_error([&] { Plain{}.validate(); }, "objective-options", {"the encoder"});
  check_error([&] { Plain{.encoder = &encoder}.validate(); }, "objective-options", {"the network whose features"});
}
