// Numbers that an independent implementation of RAE's vision encoders (encoder.py) gives for tiny ones, stored in the official names
// and loaded from them; and the sheet of the published ones: resampling, sizes, names.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/official_names.hpp>

#include "check_error.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;
using io_test::TemporaryDirectory;

namespace {

void check_near(double found, double expected, double tolerance, const std::string& what) {
  INFO(what << ": found " << found << ", expected " << expected);
  CHECK(std::abs(found - expected) <= tolerance);
}

template <class Act, class Norm = LayerNorm, class... More> using Trunk = Transformer<32, 2, Norm, Act, Heads<2>, More...>;
template <bool Affine> using TinyNorm = LayerNormPolicy<Affine, std::ratio<1, 1'000'000'000'000>>;
using TinyDINO = VisionEncoder<EncoderInput<12, 3, 7, Cubic::antialiased>, Trunk<GELU, LayerNorm, LayerScale<std::ratio<1>>>, LayerNormNoAffine, true, 4>;
using TinySigLIP = VisionEncoder<EncoderInput<12, 3, 4, Cubic::plain, HalfColours>, Trunk<GELUTanh>, LayerNormNoAffine, false>;
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

TEST_CASE("encoders: the weights of both bicubic kernels") {
  check_row(row<CubicTable<Cubic::antialiased, 37, 16>>(0), {{0, .387186}, {1, .441451}, {2, .209256}, {3, -.003056}, {4, -.031817}, {5, -.003020}});
  check_row(row<CubicTable<Cubic::antialiased, 37, 16>>(8),
            {{15, -.007093}, {16, -.031870}, {17, .018384}, {18, .243594}, {19, .428314}, {20, .320481}, {21, .074068}, {22, -.029513}, {23, -.016364}});
  check_row(row<CubicTable<Cubic::plain, 256, 224>>(0), {{0, .942784}, {1, .060769}, {2, -.003553}});
  check_row(row<CubicTable<Cubic::plain, 256, 224>>(1), {{0, -.099216}, {1, .908983}, {2, .217292}, {3, -.027059}});
  for (int i = 0; i < 5; ++i) check_row(row<CubicTable<Cubic::antialiased, 5, 5>>(i), {{i, 1}});
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
  for (const auto& [name, shape] : expected) {
    REQUIRE_MESSAGE(found.contains(name), name);
    CHECK(found.at(name) == shape);
  }
}

TEST_CASE("encoders: a file that does not fit is told of in its own names, and changes nothing") {
  const TemporaryDirectory folder;
  Cpu cpu(1);
  Weights<TinyMAE, Cpu> weights(cpu, 3);
  const std::vector<float> zeros(100'000);
  std::vector<io::TensorToWrite> tensors;
  for (const ParameterInfo& p : mae_names().translated(parameter_table(weights.model()))) {
    if (p.name == "vit.encoder.layer.1.attention.attention.key.bias") continue;
    tensors.push_back({p.name, io::Dtype::f32, p.name == "vit.encoder.layer.0.output.dense.weight" ? std::vector<Index>{32, 64} : p.shape, zeros.data()});
  }
  tensors.push_back({"stray", io::Dtype::f32, {3}, zeros.data()});
  io::write_safetensors(folder / "w.safetensors", tensors, {});
  std::vector<float> before(static_cast<std::size_t>(weights.size())), after(before);
  weights.values().download(before);
  check_error([&] { load_weights(folder / "w.safetensors", weights, mae_names()); }, "checkpoint-mismatch",
              {"missing: vit.encoder.layer.1.attention.attention.key.bias (32)", "shape: vit.encoder.layer.0.output.dense.weight expected (32, 128), found (32, 64)", "extra: stray (3)"});
  weights.values().download(after);
  CHECK(before == after);
}
