// Vision encoders and their decoder on images in [0, 1] and in [-1, 1], and the gradient of the decoder's last layer by hand.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/models/vit_decoder.hpp>
#include <sfumato/train/weights.hpp>

#include "central_difference.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sfumato;
using backend::Reference;
using Values = std::vector<double>;

namespace {

using Decoder = ViTDecoder<LatentTokens<3, 12, 1>, DecoderTrunk<36, 1, 2>, 4>;

template <class Ctx, class V> Values host(Ctx& ctx, const V& v) {
  Values out(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(out));
  return out;
}
Values waves(std::size_t size, double frequency) {
  Values out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = std::sin(frequency * double(i) + 0.7);
  return out;
}
double largest_difference(const Values& a, const Values& b) {
  REQUIRE(a.size() == b.size());
  double out = 0;
  for (std::size_t i = 0; i < a.size(); ++i) out = std::max(out, std::abs(a[i] - b[i]));
  return out;
}

/// A decoder with weights that leave nothing at its first zero.
struct Fixture {
  Reference device;
  Weights<Decoder, Reference, double> weights{device, 2};
  Values elements = waves(static_cast<std::size_t>(weights.size()), 0.37);
  Workspace<Reference> workspace{device};
  Values latents = waves(2 * 9 * 12, 0.13);
  const Decoder& model = weights.model();

  Fixture() {
    for (double& v : elements) v *= 0.3;
    weights.values().upload(elements);
  }
  Run<Reference, double> run() { return {workspace, weights.values()}; }
  auto input(auto& ctx) const { return ops::input<Decoder::LatentShape>(ctx, std::span<const double>(latents)); }
};

template <class Input, int Side> void check_ranges() {
  using Encoder = VisionEncoder<Input, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;
  constexpr int channels = Input::channels;
  using Images = Shape<dynamic, channels, Side, Side>;
  Reference device;
  Workspace<Reference> workspace(device);
  Run<Reference, double> ctx(workspace, nullptr);
  const Encoder encoder{};
  const Values x = waves(2 * channels * Side * Side, 0.13);
  Values unit = x;
  for (double& v : unit) v = (v + 1) / 2;
  const auto images = [&](const Values& v) { return ops::input<Images>(ctx, std::span<const double>(v)); };
  const Values found = host(ctx, encoder.template normalise<Range::signed_unit>(ctx, images(x)));
  const Values expected = host(ctx, encoder.template normalise<Range::unit>(ctx, images(unit)));
  CHECK(found.size() == 2 * channels * 12 * 12);
  CHECK(largest_difference(found, expected) < 1e-13);
  if (Side != 12) return;
  for (double& v : unit) {  // without resampling, by hand
    const auto c = std::size_t(&v - unit.data()) / (12 * 12) % std::size_t(channels);
    v = (v - Input::Colours::mean[c]) / Input::Colours::deviation[c];
  }
  CHECK(largest_difference(expected, unit) < 1e-13);
}

// The loss is linear in the image: its gradient there is `slope`, whatever the image.
template <Range R> void check_last_gradient() {
  Fixture f;
  const Values slope = waves(2 * 3 * 12 * 12, 0.71);
  const auto loss = [&] {
    f.weights.values().upload(f.elements);
    auto ctx = f.run();
    const Values images = host(ctx, f.model.template decode<R>(ctx, f.input(ctx)));
    double out = 0;
    for (std::size_t i = 0; i < images.size(); ++i) out += slope[i] * images[i];
    return out;
  };
  auto ctx = f.run();
  const auto found = Decoder::last_gradient<R>(ctx, ops::input<Decoder::ImageShape>(ctx, std::span<const double>(slope)), f.model.features(ctx, f.input(ctx)));
  static_assert(std::is_same_v<typename decltype(found)::shape, Shape<48, 36>>);
  const Values gradient = host(ctx, found);
  const auto first = static_cast<std::size_t>(f.model.pred.weight.offset);
  double largest = 0;
  for (std::size_t i = 0; i < gradient.size(); i += 23) {
    CHECK(gradient[i] == doctest::Approx(central_difference(f.elements[first + i], loss, 1e-3)).epsilon(1e-7));  // linear: any step will do
    largest = std::max(largest, std::abs(gradient[i]));
  }
  CHECK(largest > 0.1);
}

}  // namespace

TEST_CASE("vision encoders: images in [-1, 1] are normalised as the same in [0, 1], resampled or not") {
  check_ranges<EncoderInput<12, 3>, 12>();
  check_ranges<EncoderInput<12, 3>, 16>();
  check_ranges<EncoderInput<12, 3, 4, Interpolation::cubic, HalfColours>, 12>();
  check_ranges<EncoderInput<12, 3, 4, Interpolation::cubic, GreyColours>, 12>();
  check_ranges<EncoderInput<12, 3, 4, Interpolation::cubic, GreyColours>, 9>();
}

TEST_CASE("decoder: images in [-1, 1] are those in [0, 1], stretched; and both are its normalised colours, undone") {
  Fixture f;
  auto ctx = f.run();
  const auto z = f.input(ctx);
  const Values unit = host(ctx, f.model.decode<Range::unit>(ctx, z)), pixels = host(ctx, f.model(ctx, z));
  Values stretched = unit, undone = pixels;
  for (double& v : stretched) v = 2 * v - 1;
  CHECK(largest_difference(host(ctx, f.model.decode<Range::signed_unit>(ctx, z)), stretched) < 1e-13);
  CHECK(host(ctx, f.model.decode(ctx, z)) == unit);
  for (std::size_t i = 0; i < undone.size(); ++i) undone[i] = pixels[i] * ImageNetColours::deviation[i / 144 % 3] + ImageNetColours::mean[i / 144 % 3];
  CHECK(largest_difference(unit, undone) < 1e-13);
  // An encoder of the same colours sees what the decoder meant.
  using Encoder = VisionEncoder<EncoderInput<12, 3>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;
  CHECK(largest_difference(host(ctx, Encoder{}.normalise<Range::signed_unit>(ctx, f.model.decode<Range::signed_unit>(ctx, z))), pixels) < 1e-12);
}

TEST_CASE("decoder: the gradient of its last weight, by hand, for a loss that is linear in the image") {
  check_last_gradient<Range::unit>();
  check_last_gradient<Range::signed_unit>();
}
