// Numbers that an independent implementation of RAE's diffusion stage (arXiv 2510.11690) gives: a tiny DiT-DH stage by stage, the
// schedule's shift, the sampler's times, and the names and shapes of its checkpoints.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/train/official_names.hpp>

#include "check_error.hpp"
#include "golden/near.hpp"
#include "golden/starts.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;

namespace {

template <class Ctx, class V> std::vector<double> host(Ctx& ctx, const V& v) {
  std::vector<double> elements(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(elements));
  return elements;
}

// 4 x 4 tokens of 12 values, five classes: a trunk of two blocks of width 32 with a head of two of width 48; one whose head is as wide as
// its trunk; and a plain one.
using Tokens = LatentTokens<4, 12, 5>;
template <int Depth> using TinyTrunk = DiTTrunk<32, Depth, 2, LinearInit<init::UniformFanIn>>;
using Tiny = DiTDH<Tokens, TinyTrunk<2>, DDT<48, 2, 2>>;
using EqualWidths = DiTDH<Tokens, TinyTrunk<1>, DDT<32, 1, 2>>;
using Plain = DiT<Tokens, DiTTrunk<32, 2, 2>>;
static_assert(Tiny::path_width == 48 && Tiny::decoupled && EqualWidths::decoupled && !Plain::decoupled && Plain::path_width == 32);

// Element n of tensor k is 0.15 sin(0.37 n + 1.3 k + 0.5), in the order of `names`, and 1 more in the norms; the position table stays.
template <class Model> std::vector<std::string> names() {
  constexpr bool projects = Model::decoupled && Model::path_width != Model::width;
  std::vector<std::string> out{"pos_embed"};
  const auto add = [&](const std::string& prefix, std::initializer_list<const char*> rest) { for (const char* r : rest) out.push_back(prefix + r); };
  add("x_embedder.proj", {".weight", ".bias"});
  if (Model::decoupled) add("s_embedder.proj", {".weight", ".bias"});
  if (projects) add("s_projector", {".weight", ".bias"});
  add("t_embedder.", {"W", "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"});
  out.push_back("y_embedder.embedding_table.weight");
  int blocks = decltype(Model::trunk)::depth;
  if constexpr (Model::decoupled) blocks += Model::HeadLayer::Blocks::depth;
  for (int i = 0; i < blocks; ++i)
    add(text("blocks.", i, '.'), {"norm1.weight", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias", "norm2.weight", "mlp.w12.weight", "mlp.w12.bias",
                                  "mlp.w3.weight", "mlp.w3.bias", "adaLN_modulation.1.weight", "adaLN_modulation.1.bias"});
  add("final_layer.", {"norm_final.weight", "linear.weight", "linear.bias", "adaLN_modulation.1.weight", "adaLN_modulation.1.bias"});
  return out;
}
template <class Model, class E> void fill_tiny(const Model& model, std::vector<E>& weights) {
  initialise(model, 0, weights.data());
  const auto order = names<Model>();
  std::map<std::string, ParameterInfo> table;
  for (const ParameterInfo& p : parameter_table(model)) table.emplace(p.name, p);
  REQUIRE(table.size() == order.size());
  for (std::size_t k = 1; k < order.size(); ++k) {
    REQUIRE_MESSAGE(table.contains(order[k]), order[k]);
    const ParameterInfo& p = table.at(order[k]);
    const bool norm = p.name.find("norm") != std::string::npos;
    for (Index n = 0; n < p.size; ++n) {
      const float value = static_cast<float>(0.15 * std::sin(0.37 * double(n) + 1.3 * double(k) + 0.5));
      weights[static_cast<std::size_t>(p.offset + n)] = static_cast<E>(norm ? 1.0 + double(value) : double(value));
    }
  }
}

struct Stage {
  const char* name;
  double mean, rms;
  std::vector<double> first;
};

/// `look(ctx, model, z, noise, labels, verify)` verifies what stands between, and `output` and `places` the end.
template <class Model, class B, class E, class Look> void run_tiny(double tolerance, const Stage& output, const std::vector<double>& places, const Look& look) {
  B device;
  Weights<Model, B, E> weights(device);
  std::vector<E> elements(static_cast<std::size_t>(weights.size()));
  fill_tiny(weights.model(), elements);
  weights.values().upload(elements);
  const Model& model = weights.model();
  Workspace<B> workspace(device);
  Run<B, E> ctx(workspace, weights.data());
  const auto z = ops::input_from<typename Model::ImageShape>(ctx, 2, [](E* out) {
    for (int n = 0; n < 2 * 192; ++n) out[n] = static_cast<E>(static_cast<float>(std::sin(0.13 * n + 0.7)));
  });
  const std::vector<double> noise{0.3, 0.85};
  const std::vector<int> labels{1, 5};

  const auto verify = [&](const auto& value, const Stage& stage) {
    const auto found = host(ctx, value);
    const double n = double(found.size());
    check_near(std::accumulate(found.begin(), found.end(), 0.0) / n, stage.mean, tolerance, text(stage.name, ", mean"));
    check_near(std::sqrt(std::inner_product(found.begin(), found.end(), found.begin(), 0.0) / n), stage.rms, tolerance, text(stage.name, ", rms"));
    for (std::size_t i = 0; i < stage.first.size(); ++i) check_near(found[i], stage.first[i], 2 * tolerance, text(stage.name, "[", i, "]"));
  };
  look(ctx, model, z, std::span<const double>(noise), std::span<const int>(labels), verify);
  const auto y = model.published(ctx, z, noise, labels);
  static_assert(std::is_same_v<typename decltype(y)::shape, Shape<dynamic, 16, 12>>);
  verify(y, output);
  const auto out = host(ctx, y);
  struct Place { int sample, token, channel; };
  const Place at[] = {{0, 15, 11}, {1, 0, 0}, {1, 7, 5}, {1, 15, 11}};
  for (std::size_t i = 0; i < 4; ++i)
    check_near(out[static_cast<std::size_t>((at[i].sample * 16 + at[i].token) * 12 + at[i].channel)], places[i], 2 * tolerance, text("place ", i));

  // In the library's own direction: at times of data, the other way round.
  const std::vector<double> data{0.7, 1 - 0.85};
  const auto turned = host(ctx, model(ctx, z, data, labels));
  for (std::size_t i = 0; i < out.size(); ++i) check_near(turned[i], -out[i], 1e-5, "velocity");
}

template <class B, class E> void run_decoupled(double tolerance) {
  const auto look = [](auto& ctx, const Tiny& model, const auto& z, std::span<const double> noise, std::span<const int> labels, const auto& verify) {
    const auto time = model.t_embedder(ctx, noise);
    verify(time, {"time embedding", .134122, 1.531439, {-.217621, .559286, 1.082252, 1.068140}});
    const auto embedded = ops::add_parameter(ctx, model.embedder(ctx, z), model.pos_embed);
    verify(embedded, {"embedded", .506086, .794802, {.105301, -.693659, .191681, .646808}});
    const auto activated = model.trunk.activate(ctx, ops::silu(ctx, ops::add(ctx, time, model.y_embedder(ctx, labels))));
    verify(model.trunk.template blocks_between<0, 1>(ctx, embedded, activated), {"block 0", .481610, .778794, {.040567, -.710877, .231581, .669469}});
    const auto seen = model.trunk.template blocks_between<0, 2>(ctx, embedded, activated);
    verify(seen, {"block 1", .534128, .845924, {-.058823, -.696266, .384906, .966172}});
    const auto told = model.head.projector(ctx, ops::silu(ctx, ops::add(ctx, seen, ops::broadcast<axis::tokens, 16>(ctx, time))));
    verify(told, {"told", -.049305, .886575, {-.949906, -.855953, -.291926, .440273}});
    const auto h = model.head.x_embedder(ctx, z);
    const auto by_token = model.head.trunk.activate(ctx, told);
    verify(model.head.trunk.template blocks_between<0, 1>(ctx, h, by_token), {"head block 0", -.021454, .457950, {-.527161, .639268, .096415, -.867784}});
    verify(model.head.trunk.template blocks_between<0, 2>(ctx, h, by_token), {"head block 1", -.008381, .456525, {-.568880, .510937, .129317, -.707366}});
  };
  run_tiny<Tiny, B, E>(tolerance, {"output", -.046840, 1.301186, {-1.182840, .455574, 1.729367, 1.285351}}, {-2.061472, -1.187480, -1.822289, -2.056531}, look);
}
template <class B, class E> void run_others(double tolerance) {
  const auto none = [](auto&...) {};
  const auto look = [&](auto& ctx, const auto&, const auto&, auto, auto, const auto&) { none(ctx); };
  run_tiny<EqualWidths, B, E>(tolerance, {"output", .234687, .726635, {.226115, .624878, .654855, .309971}}, {.362195, .211797, -.941835, .516176}, look);
  run_tiny<Plain, B, E>(tolerance, {"output", -.463092, 1.601172, {-2.572984, -2.067183, -.479891, 1.370417}}, {-.582865, -2.157017, 1.897877, -.985977}, look);
}

}  // namespace

TEST_CASE("DiT-DH: a tiny network, stage by stage, f64 on Reference") { run_decoupled<Reference, double>(1.5e-6); }
TEST_CASE("DiT-DH: a tiny network, stage by stage, f32 on Cpu") { run_decoupled<Cpu, float>(1e-5); }
TEST_CASE("DiT, and DiT-DH whose head is as wide as its trunk: tiny networks, f64 on Reference") { run_others<Reference, double>(1.5e-6); }
TEST_CASE("DiT, and DiT-DH whose head is as wide as its trunk: tiny networks, f32 on Cpu") { run_others<Cpu, float>(1e-5); }

TEST_CASE("DiT-DH starts from PyTorch's default law, DiT from Xavier's, both from zeros where it ends") {
  const auto wide = starts<Tiny>(), plain = starts<Plain>();
  for (const char* block : {"blocks.0.", "blocks.2."}) {
    const double width = block[7] == '0' ? 32 : 48, hidden = block[7] == '0' ? 85 : 128;
    for (const char* name : {"attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "mlp.w12.weight", "mlp.w12.bias"}) check_within(wide.at(text(block, name)), 1 / std::sqrt(width));
    check_within(wide.at(text(block, "mlp.w3.weight")), 1 / std::sqrt(hidden));
    CHECK(wide.at(text(block, "adaLN_modulation.1.weight")).largest == 0);
    CHECK(wide.at(text(block, "adaLN_modulation.1.bias")).largest == 0);
  }
  check_within(wide.at("s_projector.weight"), 1 / std::sqrt(32.0));
  check_within(plain.at("blocks.0.attn.qkv.weight"), std::sqrt(6.0 / (32 + 96)));
  for (const char* name : {"blocks.0.attn.qkv.bias", "blocks.1.mlp.w12.bias", "t_embedder.mlp.0.bias"}) CHECK(plain.at(name).largest == 0);
  for (auto* start : {&wide, &plain}) {
    for (const char* name : {"t_embedder.mlp.0.weight", "t_embedder.mlp.2.weight"}) CHECK(start->at(name).deviation == doctest::Approx(0.02).epsilon(0.1));
    CHECK(start->at("y_embedder.embedding_table.weight").deviation == doctest::Approx(0.02).epsilon(0.2));
    CHECK(start->at("t_embedder.W").deviation == doctest::Approx(1).epsilon(0.15));
    CHECK(start->at("x_embedder.proj.bias").largest == 0);
    for (const char* name : {"final_layer.linear.weight", "final_layer.linear.bias", "final_layer.adaLN_modulation.1.weight"}) CHECK(start->at(name).largest == 0);
  }
  check_within(wide.at("x_embedder.proj.weight"), std::sqrt(6.0 / (12 + 48)));
  check_within(wide.at("t_embedder.mlp.0.bias"), 1 / std::sqrt(512.0));
}

TEST_CASE("DiT-DH-S: names and shapes of the published checkpoint") {
  std::map<std::string, std::vector<Index>> expected{
      {"pos_embed", {1, 256, 384}}, {"x_embedder.proj.weight", {2048, 768, 1, 1}}, {"x_embedder.proj.bias", {2048}}, {"s_embedder.proj.weight", {384, 768, 1, 1}},
      {"s_embedder.proj.bias", {384}}, {"s_projector.weight", {2048, 384}}, {"s_projector.bias", {2048}}, {"t_embedder.W", {256}}, {"t_embedder.mlp.0.weight", {384, 512}},
      {"t_embedder.mlp.0.bias", {384}}, {"t_embedder.mlp.2.weight", {384, 384}}, {"t_embedder.mlp.2.bias", {384}}, {"y_embedder.embedding_table.weight", {1001, 384}},
      {"final_layer.norm_final.weight", {2048}}, {"final_layer.adaLN_modulation.1.weight", {4096, 2048}}, {"final_layer.adaLN_modulation.1.bias", {4096}},
      {"final_layer.linear.weight", {768, 2048}}, {"final_layer.linear.bias", {768}}};
  for (int i = 0; i < 14; ++i) {
    const Index w = i < 12 ? 384 : 2048, h = i < 12 ? 1024 : 5461;
    for (const auto& [name, shape] : std::map<std::string, std::vector<Index>>{
             {"norm1.weight", {w}}, {"norm2.weight", {w}}, {"attn.qkv.weight", {3 * w, w}}, {"attn.qkv.bias", {3 * w}}, {"attn.proj.weight", {w, w}}, {"attn.proj.bias", {w}},
             {"mlp.w12.weight", {2 * h, w}}, {"mlp.w12.bias", {2 * h}}, {"mlp.w3.weight", {w, h}}, {"mlp.w3.bias", {w}}, {"adaLN_modulation.1.weight", {6 * w, w}},
             {"adaLN_modulation.1.bias", {6 * w}}})
      expected.emplace(text("blocks.", i, '.', name), shape);
  }
  auto model = std::make_unique<DiTDH_S<>>();
  bind(*model);
  std::map<std::string, std::vector<Index>> found;
  for (const ParameterInfo& p : parameter_table(*model)) {
    CHECK(found.emplace(p.name, p.shape).second);
    CHECK(p.frozen == (p.name == "pos_embed" || p.name == "t_embedder.W"));
  }
  CHECK(found == expected);
}

TEST_CASE("DiT-DH: a published file has tables of the rotary embedding beside the parameters") {
  const io_test::TemporaryDirectory folder;
  Cpu cpu(1);
  Weights<Tiny, Cpu> saved(cpu, 3), loaded(cpu, 4);
  std::vector<float> elements(static_cast<std::size_t>(saved.size())), found(elements);
  saved.values().download(elements);
  std::vector<io::TensorToWrite> tensors;
  for (const ParameterInfo& p : parameter_table(saved.model())) tensors.push_back({p.name, io::Dtype::f32, p.shape, elements.data() + p.offset});
  for (const char* name : {"enc_feat_rope.freqs_cos", "enc_feat_rope.freqs_sin", "dec_feat_rope.freqs_cos", "dec_feat_rope.freqs_sin"})
    tensors.push_back({name, io::Dtype::f32, {16, 16}, elements.data()});
  io::write_safetensors(folder / "w.safetensors", tensors, {});
  load_weights(folder / "w.safetensors", loaded, dit_names());
  loaded.values().download(found);
  for (const ParameterInfo& p : parameter_table(saved.model()))
    CHECK(std::equal(elements.begin() + p.offset, elements.begin() + p.offset + p.size, found.begin() + p.offset));
  check_error([&] { load_weights(folder / "w.safetensors", loaded); }, "checkpoint-mismatch", {"extra: enc_feat_rope.freqs_cos (16, 16)"});
}

TEST_CASE("DiT-DH: at first the velocity is zero, at any time and for any label") {
  Cpu cpu(1);
  Weights<Tiny, Cpu> weights(cpu, 3);
  Workspace<Cpu> workspace(cpu);
  Run<Cpu> ctx(workspace, weights.values());
  const auto z = ops::normal<Tiny::ImageShape>(ctx, 3, Random{.seed = 1});
  const std::vector<double> times{0, 0.4, 1};
  const std::vector<int> labels{0, 5, 2};
  for (const double v : host(ctx, weights.model()(ctx, z, times, labels))) CHECK(v == 0);
}

TEST_CASE("RAE: the shift by dimension, and the sampler's times") {
  const auto verify = [](double alpha, double half, auto shift) {
    using Shift = decltype(shift);
    check_near(Shift::alpha, alpha, 5e-5, "alpha");
    check_near(Shift::noise(0.5), half, 5e-6, "t at one half");
  };
  verify(4.8990, .83048, DimensionShift<Shape<dynamic, 256, 384>>{});
  verify(6.9282, .87387, DimensionShift<Shape<dynamic, 256, 768>>{});
  verify(8.0, .88889, DimensionShift<Shape<dynamic, 256, 1024>>{});
  verify(13.8564, .93269, DimensionShift<Shape<dynamic, 1024, 768>>{});
  using Grid = ShiftedGrid<DimensionShift<Shape<dynamic, 256, 768>>>;
  for (const auto& [i, noise] : std::vector<std::pair<int, double>>{{0, 1}, {1, .99701}, {2, .99390}, {3, .99068}, {46, .31471}, {47, .23198}, {48, .13151}, {49, .00689}})
    check_near(1 - Grid::time(i, 49), noise, 5e-6, text("point ", i));
}
