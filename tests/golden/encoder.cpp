// Numbers that an independent implementation of RAE's vision encoders (encoder.py) gives for tiny ones, stored in the official names
// and loaded from them; and the sheet of the published ones: resampling, sizes, names.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/official_names.hpp>

#include "central_difference.hpp"
#include "check_error.hpp"
#include "golden/near.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;
using io_test::TemporaryDirectory;

namespace {

template <class Act, class Norm = LayerNorm, class... More> using Trunk = Transformer<32, 2, Norm, Act, Heads<2>, More...>;
template <bool Affine> using TinyNorm = LayerNormPolicy<Affine, std::ratio<1, 1'000'000'000'000>>;
using TinyDINO = VisionEncoder<EncoderInput<12, 3, 7, Interpolation::cubic_antialiased>, Trunk<GELU, LayerNorm, LayerScale<std::ratio<1>>>, LayerNormNoAffine, true, 4>;
using TinySigLIP = VisionEncoder<EncoderInput<12, 3, 4, Interpolation::cubic, HalfColours>, Trunk<GELUTanh>, LayerNormNoAffine, false>;
using TinyMAE = VisionEncoder<EncoderInput<12, 3, 3>, Trunk<GELU, TinyNorm<true>>, TinyNorm<false>, true>;

// Element n of tensor k is 0.15 sin(0.37 n + 1.3 k + 0.5), and 1 more in a norm's weight.
template <class Model> std::vector<float> tiny_elements(const Model& model, Index size) {
  std::vector<float> out(static_cast<std::size_t>(size));
  int k = 0;
  for (const ParameterInfo& p : parameter_table(model)) {
    const bool norm = p.name.find("norm") != std::string::npos && p.name.ends_with("weight");
    for (Index n = 0; n < p.size; ++n) out[static_cast<std::size_t>(p.offset + n)] = static_cast<float>((norm ? 1 : 0) + 0.15 * std::sin(0.37 * double(n) + 1.3 * k + 0.5));
    ++k;
  }
  return out;
}

/// A file in the layout of `names`, with what it ignores.
template <class Model> void save_official(const std::filesystem::path& path, const Model& model, const std::vector<float>& elements, const NameTable& names) {
  std::vector<io::TensorToWrite> tensors;
  for (const ParameterInfo& p : names.translated(parameter_table(model))) tensors.push_back({p.name, io::Dtype::f32, p.shape, elements.data() + p.offset});
  for (const std::string& begin : names.ignored) tensors.push_back({begin + "of_no_use", io::Dtype::f32, {1, 32}, elements.data()});
  io::write_safetensors(path, tensors, {});
}

template <class Model, int Side> void verify(const NameTable& names, double mean, const std::vector<double>& first, const std::vector<double>& places) {
  const TemporaryDirectory folder;
  Cpu cpu(2);
  Weights<Model, Cpu> weights(cpu);
  save_official(folder / "w.safetensors", weights.model(), tiny_elements(weights.model(), weights.size()), names);
  load_weights(folder / "w.safetensors", weights, names);
  Workspace<Cpu> workspace(cpu);
  Run<Cpu> ctx(workspace, weights.values());
  const auto images = ops::input_from<Shape<dynamic, 3, Side, Side>>(ctx, 2, [](float* out) {
    for (int n = 0; n < 2 * 3 * Side * Side; ++n) out[n] = static_cast<float>(0.5 + 0.5 * std::sin(0.13 * n + 0.7));
  });
  const auto tokens = weights.model().encode(ctx, images);
  static_assert(std::is_same_v<typename decltype(tokens)::shape, Shape<dynamic, 16, 32>>);
  std::vector<double> y(static_cast<std::size_t>(tokens.size()));
  ops::output(ctx, tokens, std::span(y));
  const auto at = [&](int image, int token, int channel) { return y[static_cast<std::size_t>((image * 16 + token) * 32 + channel)]; };
  double sum = 0;
  for (int i = 0; i < 2 * 16; ++i) {
    sum += at(0, i, 0) / 32;
    double token_mean = 0, square = 0;
    for (int c = 0; c < 32; ++c) token_mean += at(0, i, c) / 32, square += at(0, i, c) * at(0, i, c) / 32;
    check_near(token_mean, 0, 1e-6, "mean of a token");
    check_near(square, 1, 1e-4, "mean square of a token");
  }
  check_near(sum, mean, 1e-5, "mean of channel 0");
  for (std::size_t i = 0; i < first.size(); ++i) check_near(y[i], first[i], 1e-5, text("[", i, "]"));
  check_near(at(0, 15, 31), places[0], 1e-5, "last token");
  check_near(at(1, 0, 0), places[1], 1e-5, "second image");
  check_near(at(1, 7, 5), places[2], 1e-5, "second image, token 7");
  check_near(at(1, 15, 31), places[3], 1e-5, "second image, last token");
}

template <class Table> std::map<int, double> row(int i) {
  std::vector<double> t(static_cast<std::size_t>(Table::size));
  Table::fill(t.data());
  std::map<int, double> out;
  for (int j = 0; j < Table::width; ++j)
    if (const double w = t[static_cast<std::size_t>(i * Table::width + j)]; w != 0) out[j] = w;
  return out;
}
void check_row(const std::map<int, double>& found, const std::map<int, double>& expected) {
  CHECK(found.size() == expected.size());
  double sum = 0;
  for (const auto& [j, w] : found) {
    sum += w;
    REQUIRE(expected.contains(j));
    check_near(w, expected.at(j), 6e-7, text("weight of ", j));
  }
  check_near(sum, 1, 1e-12, "sum");
}

}  // namespace

TEST_CASE("encoders: a tiny DINOv2 with registers, its positions resampled, its images resized") {
  verify<TinyDINO, 16>(dinov2_names(), .759913, {.895580, -1.018299, 1.248245, -.549278}, {.267720, .914186, -.294579, .439502});
}
TEST_CASE("encoders: a tiny SigLIP2") { verify<TinySigLIP, 12>(siglip2_names(), -.236256, {.208801, -.572801, .212829, .880231}, {1.419938, .159776, 1.605058, 1.503604}); }
TEST_CASE("encoders: a tiny MAE, its positions resampled") { verify<TinyMAE, 12>(mae_names(), -.249389, {.308692, -1.222163, .549307, .766166}, {1.460258, .204937, 1.647324, 1.654282}); }

TEST_CASE("encoders: the weights of the bicubic and bilinear kernels") {
  check_row(row<InterpolationTable<Interpolation::cubic_antialiased, 37, 16>>(0), {{0, .387186}, {1, .441451}, {2, .209256}, {3, -.003056}, {4, -.031817}, {5, -.003020}});
  check_row(row<InterpolationTable<Interpolation::cubic_antialiased, 37, 16>>(8),
            {{15, -.007093}, {16, -.031870}, {17, .018384}, {18, .243594}, {19, .428314}, {20, .320481}, {21, .074068}, {22, -.029513}, {23, -.016364}});
  check_row(row<InterpolationTable<Interpolation::cubic, 256, 224>>(0), {{0, .942784}, {1, .060769}, {2, -.003553}});
  check_row(row<InterpolationTable<Interpolation::cubic, 256, 224>>(1), {{0, -.099216}, {1, .908983}, {2, .217292}, {3, -.027059}});
  for (int i = 0; i < 5; ++i) check_row(row<InterpolationTable<Interpolation::cubic_antialiased, 5, 5>>(i), {{i, 1}});
  using Up = InterpolationTable<Interpolation::linear, 4, 8>;  // by hand
  check_row(row<Up>(0), {{0, 1}});
  check_row(row<Up>(1), {{0, .75}, {1, .25}});
  check_row(row<Up>(2), {{0, .25}, {1, .75}});
  check_row(row<Up>(6), {{2, .25}, {3, .75}});
  check_row(row<Up>(7), {{3, 1}});
  for (int i = 0; i < 4; ++i) check_row(row<InterpolationTable<Interpolation::linear, 8, 4>>(i), {{2 * i, .5}, {2 * i + 1, .5}});
  for (int i = 0; i < 4; ++i) check_row(row<InterpolationTable<Interpolation::linear, 12, 4>>(i), {{3 * i + 1, 1}});  // no antialiasing: every third
}

TEST_CASE("encoders: the official names and shapes of DINOv2-B") {
  std::map<std::string, std::vector<Index>> found;
  DINOv2_B<> model{};
  bind(model);
  for (const ParameterInfo& p : dinov2_names().translated(parameter_table(model))) CHECK(found.emplace(p.name, p.shape).second);
  CHECK(found.size() == 5 + 12 * 18);
  const std::vector<std::pair<std::string, std::vector<Index>>> expected{
      {"embeddings.cls_token", {1, 1, 768}}, {"embeddings.register_tokens", {1, 4, 768}}, {"embeddings.position_embeddings", {1, 1370, 768}},
      {"embeddings.patch_embeddings.projection.weight", {768, 3, 14, 14}}, {"embeddings.patch_embeddings.projection.bias", {768}},
      {"encoder.layer.0.norm1.weight", {768}}, {"encoder.layer.11.norm2.bias", {768}}, {"encoder.layer.3.attention.attention.query.weight", {768, 768}},
      {"encoder.layer.3.attention.attention.key.weight", {768, 768}}, {"encoder.layer.3.attention.attention.value.bias", {768}},
      {"encoder.layer.3.attention.output.dense.weight", {768, 768}}, {"encoder.layer.3.layer_scale1.lambda1", {768}}, {"encoder.layer.3.layer_scale2.lambda1", {768}},
      {"encoder.layer.3.mlp.fc1.weight", {3072, 768}}, {"encoder.layer.3.mlp.fc2.weight", {768, 3072}}};
  for (const auto& wanted : expected) {
    REQUIRE_MESSAGE(found.contains(wanted.first), wanted.first);
    CHECK(found.at(wanted.first) == wanted.second);
  }
}

TEST_CASE("encoders: what of ours each official tensor is, word for word") {
  struct Row { const char* theirs; const char* ours; Index first; };  // which third of ours, where there are three
  const auto check_table = [](const NameTable& names, const auto& model, const std::vector<Row>& rows, const std::vector<std::string>& of_no_use) {
    auto bound = model;
    bind(bound);
    std::map<std::string, ParameterInfo> ours, theirs;
    for (const ParameterInfo& p : parameter_table(bound)) ours.emplace(p.name, p);
    for (const ParameterInfo& p : names.translated(parameter_table(bound))) theirs.emplace(p.name, p);
    std::set<std::string> seen;
    for (const Row& row : rows) {
      INFO(row.theirs);
      REQUIRE(theirs.contains(row.theirs));
      REQUIRE(ours.contains(row.ours));
      CHECK(theirs.at(row.theirs).offset == ours.at(row.ours).offset + row.first * theirs.at(row.theirs).size);
      seen.insert(row.theirs);
    }
    for (const auto& entry : theirs) CHECK_MESSAGE((seen.contains(entry.first) || entry.first.find(".1.") != std::string::npos), entry.first);  // all but the second block's
    for (const std::string& name : of_no_use) CHECK_MESSAGE(names.ignores(name), name);
    CHECK(!names.ignores("stray"));
    for (const auto& entry : theirs) CHECK_MESSAGE(!names.ignores(entry.first), entry.first);
  };
#define BLOCK "encoder.layer.0."
  const std::vector<Row> dino{{"embeddings.cls_token", "cls_token", 0}, {"embeddings.register_tokens", "register_tokens", 0}, {"embeddings.position_embeddings", "pos_embed", 0},
      {"embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight", 0}, {"embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias", 0},
      {BLOCK "norm1.weight", "blocks.0.norm1.weight", 0}, {BLOCK "norm1.bias", "blocks.0.norm1.bias", 0}, {BLOCK "norm2.weight", "blocks.0.norm2.weight", 0}, {BLOCK "norm2.bias", "blocks.0.norm2.bias", 0},
      {BLOCK "attention.attention.query.weight", "blocks.0.attn.qkv.weight", 0}, {BLOCK "attention.attention.key.weight", "blocks.0.attn.qkv.weight", 1},
      {BLOCK "attention.attention.value.weight", "blocks.0.attn.qkv.weight", 2}, {BLOCK "attention.attention.query.bias", "blocks.0.attn.qkv.bias", 0},
      {BLOCK "attention.attention.key.bias", "blocks.0.attn.qkv.bias", 1}, {BLOCK "attention.attention.value.bias", "blocks.0.attn.qkv.bias", 2},
      {BLOCK "attention.output.dense.weight", "blocks.0.attn.proj.weight", 0}, {BLOCK "attention.output.dense.bias", "blocks.0.attn.proj.bias", 0},
      {BLOCK "layer_scale1.lambda1", "blocks.0.ls1.gamma", 0}, {BLOCK "layer_scale2.lambda1", "blocks.0.ls2.gamma", 0}, {BLOCK "mlp.fc1.weight", "blocks.0.mlp.fc1.weight", 0},
      {BLOCK "mlp.fc1.bias", "blocks.0.mlp.fc1.bias", 0}, {BLOCK "mlp.fc2.weight", "blocks.0.mlp.fc2.weight", 0}, {BLOCK "mlp.fc2.bias", "blocks.0.mlp.fc2.bias", 0}};
  check_table(dinov2_names(), TinyDINO{}, dino, {"embeddings.mask_token", "layernorm.weight", "layernorm.bias"});
#undef BLOCK
#define BLOCK "vision_model.encoder.layers.0."
  const std::vector<Row> siglip{{"vision_model.embeddings.patch_embedding.weight", "patch_embed.proj.weight", 0}, {"vision_model.embeddings.patch_embedding.bias", "patch_embed.proj.bias", 0},
      {"vision_model.embeddings.position_embedding.weight", "pos_embed", 0}, {BLOCK "layer_norm1.weight", "blocks.0.norm1.weight", 0}, {BLOCK "layer_norm1.bias", "blocks.0.norm1.bias", 0},
      {BLOCK "layer_norm2.weight", "blocks.0.norm2.weight", 0}, {BLOCK "layer_norm2.bias", "blocks.0.norm2.bias", 0}, {BLOCK "self_attn.q_proj.weight", "blocks.0.attn.qkv.weight", 0},
      {BLOCK "self_attn.k_proj.weight", "blocks.0.attn.qkv.weight", 1}, {BLOCK "self_attn.v_proj.weight", "blocks.0.attn.qkv.weight", 2}, {BLOCK "self_attn.q_proj.bias", "blocks.0.attn.qkv.bias", 0},
      {BLOCK "self_attn.k_proj.bias", "blocks.0.attn.qkv.bias", 1}, {BLOCK "self_attn.v_proj.bias", "blocks.0.attn.qkv.bias", 2}, {BLOCK "self_attn.out_proj.weight", "blocks.0.attn.proj.weight", 0},
      {BLOCK "self_attn.out_proj.bias", "blocks.0.attn.proj.bias", 0}, {BLOCK "mlp.fc1.weight", "blocks.0.mlp.fc1.weight", 0}, {BLOCK "mlp.fc1.bias", "blocks.0.mlp.fc1.bias", 0},
      {BLOCK "mlp.fc2.weight", "blocks.0.mlp.fc2.weight", 0}, {BLOCK "mlp.fc2.bias", "blocks.0.mlp.fc2.bias", 0}};
  check_table(siglip2_names(), TinySigLIP{}, siglip, {"vision_model.post_layernorm.weight", "vision_model.head.probe", "text_model.embeddings.token_embedding.weight", "logit_scale", "logit_bias"});
#undef BLOCK
#define BLOCK "vit.encoder.layer.0."
  const std::vector<Row> mae{{"vit.embeddings.cls_token", "cls_token", 0}, {"vit.embeddings.position_embeddings", "pos_embed", 0},
      {"vit.embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight", 0}, {"vit.embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias", 0},
      {BLOCK "layernorm_before.weight", "blocks.0.norm1.weight", 0}, {BLOCK "layernorm_before.bias", "blocks.0.norm1.bias", 0}, {BLOCK "layernorm_after.weight", "blocks.0.norm2.weight", 0},
      {BLOCK "layernorm_after.bias", "blocks.0.norm2.bias", 0}, {BLOCK "attention.attention.query.weight", "blocks.0.attn.qkv.weight", 0},
      {BLOCK "attention.attention.key.weight", "blocks.0.attn.qkv.weight", 1}, {BLOCK "attention.attention.value.weight", "blocks.0.attn.qkv.weight", 2},
      {BLOCK "attention.attention.query.bias", "blocks.0.attn.qkv.bias", 0}, {BLOCK "attention.attention.key.bias", "blocks.0.attn.qkv.bias", 1},
      {BLOCK "attention.attention.value.bias", "blocks.0.attn.qkv.bias", 2}, {BLOCK "attention.output.dense.weight", "blocks.0.attn.proj.weight", 0},
      {BLOCK "attention.output.dense.bias", "blocks.0.attn.proj.bias", 0}, {BLOCK "intermediate.dense.weight", "blocks.0.mlp.fc1.weight", 0}, {BLOCK "intermediate.dense.bias", "blocks.0.mlp.fc1.bias", 0},
      {BLOCK "output.dense.weight", "blocks.0.mlp.fc2.weight", 0}, {BLOCK "output.dense.bias", "blocks.0.mlp.fc2.bias", 0}};
  check_table(mae_names(), TinyMAE{}, mae, {"vit.layernorm.weight", "decoder.mask_token", "decoder.decoder_layers.0.output.dense.weight"});
#undef BLOCK
}

TEST_CASE("a table of names that cannot be is told so") {
  const std::vector<ParameterInfo> table{{"a.w", {32}, 0, 32, false, false}, {"b.w", {32}, 32, 32, false, false}};
  check_error([&] { NameTable{{{".w", {".q", ".k", ".v"}}}, {}}.translated(table); }, "name-table", {"'a.w' (32)", "3 tensors"});
  check_error([&] { NameTable{{{".w", {}}}, {}}.translated(table); }, "name-table", {"'a.w'", "0 tensors"});
  check_error([&] { NameTable{{{"b.w", {"a.w"}}}, {}}.translated(table); }, "name-table", {"'a.w'", "two parameters"});
}

TEST_CASE("encoders: gradients, of images and weights, through resampling and tokens in front") {
  Reference device;
  Weights<TinyDINO, Reference, double> weights(device, 5);
  std::vector<double> host(static_cast<std::size_t>(weights.size())), found(host);
  const auto elements = tiny_elements(weights.model(), weights.size());
  std::copy(elements.begin(), elements.end(), host.begin());
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  Array<Reference, double> gradients(device, weights.size());
  std::vector<double> pixels(3 * 16 * 16), d_pixels(pixels);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = 0.5 + 0.5 * std::sin(0.13 * double(i));
  const std::vector<double> one{1};
  const auto loss = [&](bool backward) {
    weights.values().upload(host);
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, weights.values(), gradients);
    auto images = ops::input<Shape<dynamic, 3, 16, 16>>(ctx, std::span<const double>(pixels));
    ctx.require_gradient(images);
    const auto tokens = weights.model().encode(ctx, images);
    const auto wanted = ops::input_from<Shape<dynamic, 16, 32>>(ctx, 1, [](double* out) { for (int i = 0; i < 512; ++i) out[i] = std::cos(0.2 * i); });
    const auto value = ops::weighted_mse(ctx, tokens, wanted, one);
    double out = 0;
    ops::output(ctx, value, std::span(&out, 1));
    if (backward) {
      ctx.backward(value);
      Kernels<Reference>::download(device, d_pixels.data(), ctx.gradient_of(images), Index(d_pixels.size()));
    }
    tape.clear();
    return out;
  };
  loss(true);
  gradients.download(found);
  const auto check_one = [&](double& at, double gradient, const std::string& what) {
    INFO(what);
    CHECK(std::abs(gradient - central_difference(at, [&] { return loss(false); })) < 1e-8);
  };
  for (std::size_t i = 0; i < pixels.size(); i += 97) check_one(pixels[i], d_pixels[i], text("pixel ", i));
  for (const ParameterInfo& p : parameter_table(weights.model()))
    for (Index i = 0; i < p.size; i += std::max<Index>(1, p.size / 2)) check_one(host[static_cast<std::size_t>(p.offset + i)], found[static_cast<std::size_t>(p.offset + i)], text(p.name, " ", i));
}
