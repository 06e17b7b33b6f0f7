// Numbers that an independent implementation (mae.py) of a masked autoencoder gives for a tiny one: what it says of patches, which of them are
// drawn, and the loss.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/train/masked_reconstruction.hpp>
#include <sfumato/train/weights.hpp>

#include "golden/near.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

using namespace sfumato;
using backend::Cpu;

namespace {

template <int Width, int Depth> using Trunk = Transformer<Width, Depth, LayerNorm, GELU, Heads<2>>;
using Tiny = MaskedAutoencoder<VisionEncoder<EncoderInput<12, 3>, Trunk<32, 2>, LayerNormNoAffine, true>, Trunk<24, 1>, 6>;
using Named = std::pair<std::string, std::vector<Index>>;

void add_block(std::vector<Named>& out, const std::string& block, Index w) {
  for (const Named& p : std::vector<Named>{{"norm1.weight", {w}}, {"norm1.bias", {w}}, {"attn.qkv.weight", {3 * w, w}}, {"attn.qkv.bias", {3 * w}}, {"attn.proj.weight", {w, w}},
                                           {"attn.proj.bias", {w}}, {"norm2.weight", {w}}, {"norm2.bias", {w}}, {"mlp.fc1.weight", {4 * w, w}}, {"mlp.fc1.bias", {4 * w}},
                                           {"mlp.fc2.weight", {w, 4 * w}}, {"mlp.fc2.bias", {w}}})
    out.emplace_back(block + p.first, p.second);
}

/// Those of mae.py: element n of tensor k is 0.15 sin(0.37 n + 1.3 k + 0.5), and 1 more in a norm's weight; the decoder's positions stay.
void fill_tiny(Weights<Tiny, Cpu>& weights) {
  std::vector<float> elements(static_cast<std::size_t>(weights.size()));
  weights.values().download(elements);
  int k = 0;
  for (const ParameterInfo& p : parameter_table(weights.model())) {
    const bool norm = p.name.find("norm") != std::string::npos && p.name.ends_with("weight");
    float* const own = elements.data() + p.offset;
    if (p.name != "decoder_pos_embed")
      for (Index n = 0; n < p.size; ++n) own[n] = static_cast<float>((norm ? 1 : 0) + 0.15 * std::sin(0.37 * double(n) + 1.3 * k + 0.5));
    ++k;
  }
  weights.values().upload(elements);
}
template <class Ctx> auto waves(Ctx& ctx) {
  return ops::input_from<Tiny::ImageShape>(ctx, 2, [](float* out) {
    for (int n = 0; n < 2 * 3 * 12 * 12; ++n) out[n] = static_cast<float>(std::sin(0.13 * n + 0.7));
  });
}

/// Keeps the order that it is asked with.
struct Asked : Tiny {
  std::vector<int>* order = nullptr;
  template <class Ctx, class X> auto operator()(Ctx& ctx, const X& images, std::span<const int> all) const {
    order->assign(all.begin(), all.end());
    return Tiny::operator()(ctx, images, all);
  }
};

}  // namespace

TEST_CASE("masked autoencoder: names and shapes of its parameters, in their order") {
  std::vector<Named> expected, found;
  const auto add = [&](std::initializer_list<Named> more) { expected.insert(expected.end(), more); };
  add({{"patch_embed.proj.weight", {32, 3, 3, 3}}, {"patch_embed.proj.bias", {32}}, {"cls_token", {1, 1, 32}}, {"pos_embed", {1, 17, 32}}});
  for (const char* block : {"blocks.0.", "blocks.1."}) add_block(expected, block, 32);
  add({{"decoder_embed.weight", {24, 32}}, {"decoder_embed.bias", {24}}, {"mask_token", {1, 1, 24}}, {"decoder_pos_embed", {1, 16, 24}}});
  add_block(expected, "decoder_blocks.0.", 24);
  add({{"decoder_norm.weight", {24}}, {"decoder_norm.bias", {24}}, {"decoder_pred.weight", {27, 24}}, {"decoder_pred.bias", {27}}});
  Tiny model{};
  bind(model);
  for (const ParameterInfo& p : parameter_table(model)) {
    found.emplace_back(p.name, p.shape);
    CHECK(p.frozen == (p.name == "decoder_pos_embed"));
  }
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].first == expected[i].first);
    CHECK_MESSAGE(found[i].second == expected[i].second, found[i].first);
  }
}

TEST_CASE("masked autoencoder: what a tiny one says of the patches it was not shown") {
  Cpu cpu(2);
  Weights<Tiny, Cpu> weights(cpu, 1);
  fill_tiny(weights);
  Workspace<Cpu> workspace(cpu);
  Run<Cpu> ctx(workspace, weights.values());
  std::vector<int> order;
  for (int b = 0; b < 2; ++b)
    for (int i = 0; i < 16; ++i) order.push_back((5 * i + 3 + 7 * b) % 16);
  const auto told = weights.model()(ctx, weights.model().encoder.normalise<Range::signed_unit>(ctx, waves(ctx)), order);
  static_assert(std::is_same_v<typename decltype(told)::shape, Shape<dynamic, 10, 27>>);
  std::vector<double> y(static_cast<std::size_t>(told.size()));
  ops::output(ctx, told, std::span(y));
  const auto at = [&](int image, int token, int value) { return y[static_cast<std::size_t>((image * 10 + token) * 27 + value)]; };
  check_near(std::accumulate(y.begin(), y.end(), 0.0) / double(y.size()), .005873, 1e-5, "mean");
  check_near(std::sqrt(std::inner_product(y.begin(), y.end(), y.begin(), 0.0) / double(y.size())), .657037, 1e-5, "root mean square");
  for (const auto& [i, expected] : std::vector<std::pair<int, double>>{{0, -.179575}, {1, .333987}, {2, -.798760}, {3, .779021}})
    check_near(at(0, 0, i), expected, 1e-5, text("[", i, "]"));
  check_near(at(0, 9, 26), -.640174, 1e-5, "last patch");
  check_near(at(1, 0, 0), .527561, 1e-5, "second image");
  check_near(at(1, 3, 14), -.515568, 1e-5, "second image, patch 3");
  check_near(at(1, 9, 26), -.683107, 1e-5, "second image, last patch");
}

TEST_CASE("masked autoencoder: the patches that are drawn, and the loss on them") {
  Cpu cpu(2);
  Weights<Tiny, Cpu> weights(cpu, 1);
  fill_tiny(weights);
  Workspace<Cpu> workspace(cpu);
  Tape<Cpu> tape(workspace);
  Array<Cpu, float> gradients(cpu, weights.size());
  std::vector<int> order;
  Asked model;
  bind(model);
  model.order = &order;
  const auto loss = [&](bool normalised) {
    Record<Cpu> ctx(tape, weights.values(), gradients, {.seed = 3, .step = 5, .first_sample = 2});
    double out = 0;
    ops::output(ctx, MaskedReconstruction{normalised}.loss(ctx, model, waves(ctx), {}), std::span(&out, 1));
    tape.clear();
    return out;
  };
  check_near(loss(true), 1.480983, 1e-5, "normalised");
  CHECK(order == std::vector<int>{5, 15, 3, 7, 6, 8, 13, 10, 1, 0, 9, 11, 12, 4, 2, 14, 1, 11, 10, 6, 0, 5, 4, 2, 13, 3, 15, 8, 12, 9, 7, 14});
  check_near(loss(false), 3.068878, 1e-5, "plain");
}
