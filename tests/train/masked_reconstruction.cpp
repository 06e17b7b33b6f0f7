// MaskedReconstruction: its gradients, which patches are shown, what is to be told of the others, and a run that learns. (Its numbers:
// golden/mae.cpp.)
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/train/masked_reconstruction.hpp>

#include "model_gradient.hpp"

#include <algorithm>
#include <numeric>
#include <set>

using namespace train_test;
using backend::Reference;

namespace {

// 4 x 4 patches of 2 x 2 grey pixels, five of them shown.
using Small = Transformer<8, 1, LayerNorm, GELU, Heads<2>>;
using Masked = MaskedAutoencoder<VisionEncoder<EncoderInput<8, 2, 4, Interpolation::cubic, GreyColours>, Small, LayerNormNoAffine, true>, Small, 5>;
static_assert(Masked::tokens == 16 && Masked::hidden == 11 && Masked::patch_values == 4);

/// Keeps the order that it is asked with, and says the same of everything.
struct Constant : Masked {
  double said = 0;
  std::vector<int>* order = nullptr;
  template <class Ctx, class X> auto operator()(Ctx& ctx, const X& images, std::span<const int> all) const {
    if (order) order->assign(all.begin(), all.end());
    using Told = Shape<dynamic, hidden, patch_values>;
    return ops::input_from<Told>(ctx, images.batch, [&](double* out) { std::fill(out, out + images.batch * Told::row, said); });
  }
};

std::vector<double> noise(Index images) {
  std::vector<double> out(static_cast<std::size_t>(images) * 64);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::sin(1.7 * double(i * i) + 0.3 * double(i));
  return out;
}

struct Fixture {
  Reference device;
  Workspace<Reference> workspace{device};
  Tape<Reference, double> tape{workspace};

  double loss(const Constant& model, bool normalised, const std::vector<double>& images, const StepRandom& random) {
    Record<Reference, double> ctx(tape, nullptr, nullptr, random);
    double out = 0;
    ops::output(ctx, MaskedReconstruction{normalised}.loss(ctx, model, ops::input<Masked::ImageShape>(ctx, std::span<const double>(images)), {}), std::span(&out, 1));
    tape.clear();
    return out;
  }
  std::vector<int> order(Index images, const StepRandom& random) {
    std::vector<int> out;
    Constant model;
    model.order = &out;
    loss(model, true, noise(images), random);
    return out;
  }
};

}  // namespace

TEST_CASE("masked reconstruction: gradients of every weight, the mask token's too") {
  const auto images = noise(3);
  for (const bool normalised : {true, false})
    check_model_gradient<Masked>([&](auto& ctx, const Masked& model) { return MaskedReconstruction{normalised}.loss(ctx, model, ops::input<Masked::ImageShape>(ctx, std::span<const double>(images)), {}); });
}

TEST_CASE("masked reconstruction: the order depends on seed, step and the sample's number alone") {
  Fixture f;
  const auto whole = f.order(6, {.seed = 1, .step = 2, .first_sample = 0});
  REQUIRE(whole.size() == 6 * 16);
  for (std::size_t b = 0; b < 6; ++b) {
    const std::vector<int> own(whole.begin() + std::ptrdiff_t(16 * b), whole.begin() + std::ptrdiff_t(16 * b + 16));
    CHECK(std::set<int>(own.begin(), own.end()).size() == 16);
    CHECK(*std::min_element(own.begin(), own.end()) == 0);
    CHECK(*std::max_element(own.begin(), own.end()) == 15);
    for (std::size_t other = 0; other < b; ++other) CHECK(!std::equal(own.begin(), own.end(), whole.begin() + std::ptrdiff_t(16 * other)));
  }
  // In micro-batches.
  std::vector<int> parts;
  for (const auto& [first, count] : std::vector<std::pair<Index, Index>>{{0, 1}, {1, 2}, {3, 3}})
    for (const int token : f.order(count, {1, 2, first})) parts.push_back(token);
  CHECK(parts == whole);
  CHECK(f.order(6, {1, 2, 0}) == whole);
  CHECK(f.order(6, {2, 2, 0}) != whole);
  CHECK(f.order(6, {1, 3, 0}) != whole);

  // Each patch is shown as often as any.
  std::vector<int> shown(16);
  constexpr Index many = 3200;
  const auto orders = f.order(many, {3, 0, 0});
  for (std::size_t i = 0; i < orders.size(); ++i)
    if (i % 16 < Masked::visible) ++shown[static_cast<std::size_t>(orders[i])];
  for (const int count : shown) CHECK(std::abs(count - 1000) < 120);  // four and a half deviations
}

TEST_CASE("masked reconstruction: shown and hidden patches make all") {
  Fixture f;
  Run<Reference, double> ctx(f.workspace, nullptr);
  const auto order = f.order(3, {1, 2, 0});
  const auto shown = Masked::part<0, Masked::visible>(ctx, order), hidden = Masked::part<Masked::visible, Masked::tokens>(ctx, order);
  REQUIRE(shown.size() == 3 * 5);
  REQUIRE(hidden.size() == 3 * 11);
  for (std::size_t b = 0; b < 3; ++b) {
    std::set<int> all(shown.data() + 5 * b, shown.data() + 5 * b + 5);
    all.insert(hidden.data() + 11 * b, hidden.data() + 11 * b + 11);
    CHECK(all.size() == 16);
  }
}

TEST_CASE("masked reconstruction: what is to be told of a hidden patch, of mean 0 and variance 1 or as it is") {
  Fixture f;
  const Index count = 3;
  const auto images = noise(count);
  const StepRandom random{1, 2, 0};
  const auto order = f.order(count, random);
  // By hand, from the pixels; grey images in [-1, 1] are normalised already.
  double plain = 0, mean = 0;
  for (Index b = 0; b < count; ++b)
    for (int i = Masked::visible; i < 16; ++i) {
      const int token = order[static_cast<std::size_t>(16 * b + i)];
      for (int y = 0; y < 2; ++y)
        for (int x = 0; x < 2; ++x) {
          const double v = images[static_cast<std::size_t>(64 * b + 8 * (2 * (token / 4) + y) + 2 * (token % 4) + x)];
          plain += v * v / double(count * 11 * 4), mean += v / double(count * 11 * 4);
        }
    }
  Constant says;
  const auto loss = [&](double said, bool normalised) {
    says.said = said;
    return f.loss(says, normalised, images, random);
  };
  CHECK(loss(0, false) == doctest::Approx(plain).epsilon(1e-12));
  CHECK(loss(1, false) == doctest::Approx(plain - 2 * mean + 1).epsilon(1e-12));
  CHECK(std::abs(mean) > 1e-3);
  CHECK(loss(0, true) == doctest::Approx(1).epsilon(1e-3));  // 1e-6 beside each patch's variance
  CHECK(loss(1, true) - loss(0, true) == doctest::Approx(1).epsilon(1e-12));

  // A patch's own level and contrast are not to be told, unless it is plain.
  auto louder = images;
  for (double& v : louder) v = 3 * v + 0.5;
  CHECK(f.loss(says, true, louder, random) == doctest::Approx(f.loss(says, true, images, random)).epsilon(1e-3));
  CHECK(f.loss(says, false, louder, random) > 2 * f.loss(says, false, images, random));
}

TEST_CASE("masked reconstruction: a run learns, the same in micro-batches, and a checkpoint knows the target") {
  const TemporaryDirectory folder;
  Cpu device(1);
  auto options = tiny_options();
  using Masking = Trainer<Masked, Masked::ImageShape, MaskedReconstruction, Cpu>;
  Masking whole(device, {}, options);
  options.accumulate = 4;
  Masking parts(device, {}, options);
  const auto one = whole.step(Waves{}), other = parts.step(Waves{});
  CHECK(one.loss == doctest::Approx(other.loss).epsilon(1e-5));
  CHECK(one.gradient_norm == doctest::Approx(other.gradient_norm).epsilon(1e-4));
  double loss = 0;
  for (int i = 0; i < 200; ++i) {
    const double last = whole.step(Waves{}).loss;
    if (i >= 180) loss += last / 20;
  }
  CHECK(loss < 0.6 * one.loss);

  save_checkpoint(folder / "a.safetensors", whole);
  Masking plain(device, {.normalised = false}, tiny_options());
  check_error([&] { load_checkpoint(folder / "a.safetensors", plain); }, "checkpoint-settings", {"objective.normalised: 1, this run has 0"});
}
