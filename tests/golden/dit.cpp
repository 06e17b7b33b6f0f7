// Numbers that an independent implementation of RAE's diffusion stage (arXiv 2510.11690) gives: a tiny DiT-DH stage by stage, the
// schedule's shift, the sampler's times, and the names and shapes of its checkpoints.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/train/weights.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;

namespace {

void check_near(double found, double expected, double tolerance, const std::string& what) {
  INFO(what << ": found " << found << ", expected " << expected);
  CHECK(std::abs(found - expected) <= tolerance);
}

template <class Ctx, class V> std::vector<double> host(Ctx& ctx, const V& v) {
  std::vector<double> elements(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(elements));
  return elements;
}

// 4 x 4 tokens of 12 values, five classes, a trunk of two blocks of width 32 and a head of two of width 48.
using Tiny = DiTDH<LatentTokens<4, 12, 5>, DiTTrunk<32, 2, 2, LinearInit<init::UniformFanIn>>, DDT<48, 2, 2>>;
static_assert(Tiny::path_width == 48 && Tiny::decoupled);

// Element n of tensor k is 0.15 sin(0.37 n + 1.3 k + 0.5), in the order of `names`, and 1 more in the norms; the position table stays.
std::vector<std::string> names() {
  std::vector<std::string> out{"pos_embed"};
  const auto add = [&](const std::string& prefix, std::initializer_list<const char*> rest) { for (const char* r : rest) out.push_back(prefix + r); };
  for (const char* layer : {"x_embedder.proj", "s_embedder.proj", "s_projector"}) add(layer, {".weight", ".bias"});
  add("t_embedder.", {"W", "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"});
  out.push_back("y_embedder.embedding_table.weight");
  for (int i = 0; i < 4; ++i)
    add(text("blocks.", i, '.'), {"norm1.weight", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias", "norm2.weight", "mlp.w12.weight", "mlp.w12.bias",
                                  "mlp.w3.weight", "mlp.w3.bias", "adaLN_modulation.1.weight", "adaLN_modulation.1.bias"});
  add("final_layer.", {"norm_final.weight", "linear.weight", "linear.bias", "adaLN_modulation.1.weight", "adaLN_modulation.1.bias"});
  return out;
}
template <class E> void fill_tiny(const Tiny& model, std::vector<E>& weights) {
  initialise(model, 0, weights.data());
  const auto order = names();
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

template <class B, class E> void run_tiny(double tolerance) {
  B device;
  Weights<Tiny, B, E> weights(device);
  std::vector<E> elements(static_cast<std::size_t>(weights.size()));
  fill_tiny(weights.model(), elements);
  weights.values().upload(elements);
  const Tiny& model = weights.model();
  Workspace<B> workspace(device);
  Run<B, E> ctx(workspace, weights.data());
  const auto z = ops::input_from<Tiny::ImageShape>(ctx, 2, [](E* out) {
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
  const auto time = model.t_embedder(ctx, noise);
  verify(time, {"time embedding", .134122, 1.531439, {-.217621, .559286, 1.082252, 1.068140}});
  const auto embedded = ops::add_parameter(ctx, model.embedder(ctx, z), model.pos_embed);
  verify(embedded, {"embedded", .506086, .794802, {.105301, -.693659, .191681, .646808}});
  const auto activated = model.trunk.activate(ctx, ops::silu(ctx, ops::add(ctx, time, model.y_embedder(ctx, labels))));
  verify(model.trunk.template blocks_between<0, 1>(ctx, embedded, activated), {"block 0", .481610, .778794, {.040567, -.710877, .231581, .669469}});
  const auto seen = model.trunk.template blocks_between<0, 2>(ctx, embedded, activated);
  verify(seen, {"block 1", .534128, .845924, {-.058823, -.696266, .384906, .966172}});
  const auto told = model.head.projector(ctx, ops::silu(ctx, ops::add(ctx, seen, ops::broadcast<axis::tokens, 16>(ctx, time))));
  verify(told, {"projected", -.049305, .886575, {-.949906, -.855953, -.291926, .440273}});
  const auto h = model.head.x_embedder(ctx, z);
  const auto by_token = model.head.trunk.activate(ctx, told);
  verify(model.head.trunk.template blocks_between<0, 1>(ctx, h, by_token), {"head block 0", -.021454, .457950, {-.527161, .639268, .096415, -.867784}});
  verify(model.head.trunk.template blocks_between<0, 2>(ctx, h, by_token), {"head block 1", -.008381, .456525, {-.568880, .510937, .129317, -.707366}});
  const auto y = model.published(ctx, z, noise, labels);
  static_assert(std::is_same_v<typename decltype(y)::shape, Shape<dynamic, 16, 12>>);
  verify(y, {"output", -.046840, 1.301186, {-1.182840, .455574, 1.729367, 1.285351}});
  const auto out = host(ctx, y);
  struct Place { int sample, token, channel; double value; };
  for (const Place& p : {Place{0, 15, 11, -2.061472}, {1, 0, 0, -1.187480}, {1, 7, 5, -1.822289}, {1, 15, 11, -2.056531}})
    check_near(out[static_cast<std::size_t>((p.sample * 16 + p.token) * 12 + p.channel)], p.value, 2 * tolerance, text("output at ", p.sample, ", ", p.token, ", ", p.channel));

  // In the library's own direction: at times of data, the other way round.
  const std::vector<double> data{0.7, 1 - 0.85};
  const auto turned = host(ctx, model(ctx, z, data, labels));
  for (std::size_t i = 0; i < out.size(); ++i) check_near(turned[i], -out[i], 1e-5, "velocity");
}

}  // namespace

TEST_CASE("DiT-DH: a tiny network, stage by stage, f64 on Reference") { run_tiny<Reference, double>(1.5e-6); }
TEST_CASE("DiT-DH: a tiny network, stage by stage, f32 on Cpu") { run_tiny<Cpu, float>(1e-5); }

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
