// A model of one's own, with LayerScale: its size and names, its gradient, and that it learns.
#include "central_difference.hpp"
#include "extension/vision_transformer.hpp"

#include <sfumato/autodiff/count.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/classification.hpp>
#include <sfumato/train/samples.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace sfumato;

namespace {

template <int Size, int Patch, int Classes, class Trunk> using ViT = mine::VisionTransformer<ImagePatches<Size, 3, Patch, Classes>, Trunk>;
using ViT_B_16 = ViT<224, 16, 1000, Transformer<768, 12, LayerNorm, GELU, Heads<12>>>;
using ViT_B_16_LayerScale = ViT<224, 16, 1000, Transformer<768, 12, LayerNorm, GELU, Heads<12>, LayerScale<>>>;
static_assert(parameter_count<ViT_B_16>() == 86'567'656);  // timm's vit_base_patch16_224
static_assert(parameter_count<ViT_B_16_LayerScale>() == 86'567'656 + 12 * 2 * 768);
static_assert(cost_of<ViT_B_16>(1).macs == 17'563'828'224 && cost_of<ViT_B_16_LayerScale>(1).macs == cost_of<ViT_B_16>(1).macs);

using Small = ViT<8, 4, 3, Transformer<16, 2, LayerNorm, GELU, Heads<2>, LayerScale<std::ratio<1, 2>>>>;
using Images = Small::ImageShape;

// Class 0 is dark, class 1 bright, class 2 striped.
std::vector<float> images(int count) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i)
    for (Index j = 0; j < Images::row; ++j)
      values.push_back(static_cast<float>((i % 3 == 0 ? -0.6 : i % 3 == 1 ? 0.6 : j % 2 == 0 ? 0.6 : -0.6) + 0.2 * Random{3, Stream::user, std::uint32_t(i)}.normal(std::uint64_t(j))));
  return values;
}

}  // namespace

TEST_CASE("ViT: parameter names are timm's") {
  Small model;
  bind(model);
  std::set<std::string> names;
  for (const ParameterInfo& p : parameter_table(model)) names.insert(p.name);
  for (const char* name : {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.norm1.weight", "blocks.1.attn.qkv.bias", "blocks.0.ls1.gamma",
                           "blocks.1.ls2.gamma", "blocks.1.mlp.fc2.weight", "norm.bias", "head.weight"})
    CHECK_MESSAGE(names.contains(name), name);
}

TEST_CASE("ViT: gradients are those of central differences") {
  backend::Reference device;
  Workspace workspace(device);
  Weights<Small, backend::Reference, double> weights(device, 4);
  std::vector<double> numbers(static_cast<std::size_t>(weights.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = 0.2 * Random{5, Stream::user, 0}.normal(i);
  const auto pixels = images(3);
  const std::vector<int> labels{0, 1, 2};
  const auto loss = [&](auto& ctx) { return ops::cross_entropy(ctx, weights.model()(ctx, ops::input<Images>(ctx, pixels)), labels); };
  const auto value = [&] {
    weights.values().upload(numbers);
    Run<backend::Reference, double> run(workspace, weights.values());
    double out;
    ops::output(run, loss(run), std::span(&out, 1));
    return out;
  };
  value();
  Array<backend::Reference, double> gradients(device, weights.size());
  Tape<backend::Reference, double> tape(workspace);
  Record<backend::Reference, double> record(tape, weights.values(), gradients);
  record.backward(loss(record));
  double difference = 0, sum = 0;
  for (const ParameterInfo& p : parameter_table(weights.model()))
    for (const Index i : {Index{0}, p.size / 2, p.size - 1}) {
      const double numeric = central_difference(numbers[static_cast<std::size_t>(p.offset + i)], value), analytic = gradients.data()[p.offset + i];
      difference += (numeric - analytic) * (numeric - analytic);
      sum += (numeric + analytic) * (numeric + analytic);
    }
  CHECK(sum > 0);
  CHECK(std::sqrt(difference / sum) < 1e-6);
}

TEST_CASE("ViT: learns dark from bright from striped") {
  backend::Cpu cpu(1);
  Trainer<Small, Images, Classification, backend::Cpu> trainer(cpu, {}, {.batch = 12, .learning_rate = 3e-3});
  const auto pixels = images(24);
  std::vector<int> labels;
  for (int i = 0; i < 24; ++i) labels.push_back(i % 3);
  const Samples<Images> data(pixels, labels);
  const double first = trainer.step(data).loss;
  double last = first;
  for (int i = 0; i < 60; ++i) last = trainer.step(data).loss;
  CHECK(first > 0.7);
  CHECK(last < 0.05);
}
