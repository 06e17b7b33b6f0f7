// Numbers that an independent implementation (decoder.py) of RAE's decoder gives for a tiny one, loaded from a file of official names;
// and its fixed table of positions.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/models/vit_decoder.hpp>
#include <sfumato/train/official_names.hpp>

#include "golden/near.hpp"
#include "golden/starts.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using io_test::TemporaryDirectory;

namespace {

using Tiny = ViTDecoder<LatentTokens<3, 12, 1>, DecoderTrunk<36, 2, 2, MlpRatio<32, 9>>, 4>;
static_assert(decltype(Tiny::trunk)::hidden == 128);

}  // namespace

TEST_CASE("decoder: a tiny one, from a file of official names") {
  const TemporaryDirectory folder;
  Cpu cpu(2);
  Weights<Tiny, Cpu> weights(cpu, 1);
  std::vector<float> elements(static_cast<std::size_t>(weights.size()));
  int k = 0;
  for (const ParameterInfo& p : parameter_table(weights.model())) {
    const bool norm = p.name.find("norm") != std::string::npos && p.name.ends_with("weight");
    for (Index n = 0; n < p.size; ++n) elements[static_cast<std::size_t>(p.offset + n)] = static_cast<float>((norm ? 1 : 0) + 0.15 * std::sin(0.37 * double(n) + 1.3 * k + 0.5));
    if (p.name == "decoder_pos_embed") {
      std::vector<double> table(static_cast<std::size_t>(p.size));
      layer::SinCosTable<3, 36, 1>::fill(table.data());
      std::copy(table.begin(), table.end(), elements.begin() + p.offset);
    }
    ++k;
  }
  std::vector<io::TensorToWrite> tensors;
  for (const ParameterInfo& p : rae_decoder_names().translated(parameter_table(weights.model()))) tensors.push_back({p.name, io::Dtype::f32, p.shape, elements.data() + p.offset});
  io::write_safetensors(folder / "w.safetensors", tensors, {});
  load_weights(folder / "w.safetensors", weights, rae_decoder_names());

  Workspace<Cpu> workspace(cpu);
  Run<Cpu> ctx(workspace, weights.values());
  const auto z = ops::input_from<Tiny::LatentShape>(ctx, 2, [](float* out) {
    for (int n = 0; n < 2 * 9 * 12; ++n) out[n] = static_cast<float>(std::sin(0.13 * n + 0.7));
  });
  const auto images = weights.model().decode(ctx, z);
  static_assert(std::is_same_v<typename decltype(images)::shape, Shape<dynamic, 3, 12, 12>>);
  std::vector<double> y(static_cast<std::size_t>(images.size()));
  ops::output(ctx, images, std::span(y));
  const auto at = [&](int image, int channel, int row, int column) { return y[static_cast<std::size_t>(((image * 3 + channel) * 12 + row) * 12 + column)]; };
  check_near(std::accumulate(y.begin(), y.end(), 0.0) / double(y.size()), .445119, 1e-5, "mean");
  check_near(std::sqrt(std::inner_product(y.begin(), y.end(), y.begin(), 0.0) / double(y.size())), .482366, 1e-5, "root mean square");
  for (const auto& [i, expected] : std::vector<std::pair<int, double>>{{0, .703588}, {1, .377129}, {2, .338619}, {3, .718296}}) check_near(at(0, 0, 0, i), expected, 1e-5, text("[", i, "]"));
  check_near(at(0, 1, 5, 7), .233055, 1e-5, "image 0, channel 1, row 5, column 7");
  check_near(at(0, 2, 11, 11), .252939, 1e-5, "image 0, channel 2, row 11, column 11");
  check_near(at(1, 0, 0, 0), .697736, 1e-5, "image 1, channel 0, row 0, column 0");
  check_near(at(1, 2, 3, 4), .141695, 1e-5, "image 1, channel 2, row 3, column 4");
}

TEST_CASE("decoder: what of ours each official tensor is, word for word") {
  Tiny model{};
  bind(model);
  std::map<std::string, ParameterInfo> ours;
  for (const ParameterInfo& p : parameter_table(model)) ours.emplace(p.name, p);
  struct Row { std::string theirs, ours; Index first; };  // which third of ours, where there are three
  std::vector<Row> rows;
  for (const char* name : {"decoder_embed.weight", "decoder_embed.bias", "decoder_pos_embed", "trainable_cls_token", "decoder_norm.weight", "decoder_norm.bias", "decoder_pred.weight", "decoder_pred.bias"})
    rows.push_back({name, name, 0});
  for (const std::string i : {"0", "1"})
    for (const std::string kind : {".weight", ".bias"}) {
      const std::string theirs = "decoder_layers." + i, block = "blocks." + i;
      rows.insert(rows.end(), {{theirs + ".layernorm_before" + kind, block + ".norm1" + kind, 0}, {theirs + ".layernorm_after" + kind, block + ".norm2" + kind, 0},
                               {theirs + ".attention.attention.query" + kind, block + ".attn.qkv" + kind, 0}, {theirs + ".attention.attention.key" + kind, block + ".attn.qkv" + kind, 1},
                               {theirs + ".attention.attention.value" + kind, block + ".attn.qkv" + kind, 2}, {theirs + ".attention.output.dense" + kind, block + ".attn.proj" + kind, 0},
                               {theirs + ".intermediate.dense" + kind, block + ".mlp.fc1" + kind, 0}, {theirs + ".output.dense" + kind, block + ".mlp.fc2" + kind, 0}});
    }
  const auto official = rae_decoder_names().translated(parameter_table(model));
  CHECK(official.size() == rows.size());
  for (const Row& row : rows) {
    INFO(row.theirs);
    const auto found = std::find_if(official.begin(), official.end(), [&](const ParameterInfo& p) { return p.name == row.theirs; });
    REQUIRE(found != official.end());
    REQUIRE(ours.contains(row.ours));
    CHECK(found->offset == ours.at(row.ours).offset + row.first * found->size);
  }
}

TEST_CASE("decoder: its positions, columns first, with a row of zeros in front") {
  std::vector<double> table(257 * 768);
  layer::SinCosTable<16, 768, 1>::fill(table.data());
  const auto at = [&](int row, int i) { return table[static_cast<std::size_t>(row * 768 + i)]; };
  for (int i = 0; i < 768; ++i) CHECK(at(0, i) == 0);
  check_near(at(2, 0), .841471, 5e-7, "sin 1");
  check_near(at(2, 192), .540302, 5e-7, "cos 1");
  for (int i = 0; i < 192; ++i) {
    CHECK(at(2, 384 + i) == 0);
    CHECK(at(2, 576 + i) == 1);
  }
}

TEST_CASE("decoder: starts from PyTorch's default law, with a class token of zeros and its table of positions, which stays") {
  const auto start = starts<Tiny>();
  for (const char* name : {"attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "mlp.fc1.weight", "mlp.fc1.bias"}) check_within(start.at(text("blocks.1.", name)), 1 / 6.0);
  check_within(start.at("blocks.0.mlp.fc2.weight"), 1 / std::sqrt(128.0));
  check_within(start.at("decoder_embed.weight"), 1 / std::sqrt(12.0));
  check_within(start.at("decoder_pred.weight"), 1 / 6.0);
  CHECK(start.at("trainable_cls_token").largest == 0);
  CHECK(start.at("decoder_norm.weight").deviation == 1);
  std::vector<double> table(10 * 36);
  layer::SinCosTable<3, 36, 1>::fill(table.data());
  CHECK(std::all_of(table.begin(), table.begin() + 36, [](double v) { return v == 0; }));
  Cpu cpu(1);
  const Weights<Tiny, Cpu> weights(cpu, 3);
  std::vector<float> host(table.size());
  weights.values().download(host, weights.model().pos_embed.offset);
  for (std::size_t i = 0; i < table.size(); ++i) CHECK(host[i] == static_cast<float>(table[i]));
  static_assert(decltype(Tiny::pos_embed)::frozen);
}
