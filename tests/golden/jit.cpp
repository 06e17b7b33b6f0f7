// Numbers that an independent implementation of JiT (arXiv 2511.13720) gives: its tables, a tiny network stage by stage,
// its sampler in one dimension, its law of times, and the names and shapes of its checkpoints.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/tensor/tensor.hpp>
#include <sfumato/train/weights.hpp>

#include "golden/near.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;

namespace {

template <class Table> std::vector<double> table() {
  std::vector<double> values(static_cast<std::size_t>(Table::size));
  Table::fill(values.data());
  return values;
}

template <class Ctx, class V> std::vector<double> host(Ctx& ctx, const V& v) {
  std::vector<typename Ctx::element> elements(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(elements));
  return {elements.begin(), elements.end()};
}

// The tiny network: image 16, patch 4, width 32, four blocks of two heads, five classes, bottleneck 6, three class tokens
// from block 1 on; the SwiGLU's hidden width is floor(32 * 8 / 3) = 85.
using TinyTrunk = Transformer<32, 4, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<3, 1>>;
using Tiny = JiT<ImagePatches<16, 3, 4, 5>, TinyTrunk, Head<Linear>, Bottleneck<6>>;
static_assert(TinyTrunk::hidden == 85);

// Element n of tensor k is 0.15 sin(0.37 n + 1.3 k + 0.5), and 1 more in the RMS norms; the position table stays.
template <class E> void fill_tiny(const Tiny& model, std::vector<E>& weights) {
  initialise(model, 0, weights.data());
  int k = 0;
  for (const ParameterInfo& p : parameter_table(model)) {
    const bool norm = p.name.find("norm") != std::string::npos;
    for (Index n = 0; n < p.size && k > 0; ++n) {
      const float value = static_cast<float>(0.15 * std::sin(0.37 * double(n) + 1.3 * k + 0.5));
      weights[static_cast<std::size_t>(p.offset + n)] = static_cast<E>(norm ? 1 + value : value);
    }
    ++k;
  }
  CHECK(k == 71);
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
    for (int n = 0; n < 2 * 768; ++n) out[n] = static_cast<E>(static_cast<float>(std::sin(0.13 * n + 0.7)));
  });
  const std::vector<double> times{0.3, 0.85};
  const std::vector<int> labels{1, 5};

  const auto verify = [&](const auto& value, const Stage& stage) {
    const auto values = host(ctx, value);
    const double n = double(values.size());
    check_near(std::accumulate(values.begin(), values.end(), 0.0) / n, stage.mean, tolerance, text(stage.name, ", mean"));
    check_near(std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0) / n), stage.rms, tolerance, text(stage.name, ", rms"));
    for (std::size_t i = 0; i < stage.first.size(); ++i)
      check_near(values[i], stage.first[i], tolerance * std::max(1.0, std::abs(stage.first[i])), text(stage.name, "[", i, "]"));
  };

  const auto time = model.t_embedder(ctx, times);
  verify(time, {"time embedding", -.008761, .300006, {.591522, .481227, .177055, -.161436}});
  const auto label = model.y_embedder(ctx, labels);
  verify(label, {"label embedding", .000695, .105623, {.144144, .149398, .134431, .101270}});
  const auto embedded = model.x_embedder(ctx, z);
  verify(embedded, {"patch embedding", .006994, .107047, {-.084756, .026059, .054921, .075822}});
  const auto patches = ops::add_parameter(ctx, embedded, model.pos_embed);
  verify(patches, {"with position", .505020, .663256, {}});

  const auto condition = ops::silu(ctx, ops::add(ctx, time, label));
  const auto context = ops::add_parameter(ctx, ops::broadcast<1, 3>(ctx, label), model.in_context_posemb);
  const auto& blocks = model.trunk.blocks;
  const auto x0 = blocks[0](ctx, patches, condition, std::integral_constant<int, 0>{}, 0, 0);
  verify(x0, {"block 0", .528711, .711873, {.346481, .357970, .115253, -.266984}});
  const std::integral_constant<int, 3> prefix;
  const auto x1 = blocks[1](ctx, ops::concat<axis::tokens>(ctx, context, x0), condition, prefix, 0, 1);
  verify(x1, {"block 1", .401129, .638126, {.733613, .485689, -.024244, -.407066}});
  const auto x2 = blocks[2](ctx, x1, condition, prefix, 0, 2);
  verify(x2, {"block 2", .374620, .653326, {.816906, .405936, -.289256, -.652348}});
  const auto x3 = blocks[3](ctx, x2, condition, prefix, 0, 3);
  verify(x3, {"block 3", .382458, .750052, {.889269, .571245, -.181877, -.711404}});

  const auto y = model(ctx, z, times, labels);
  static_assert(std::is_same_v<typename decltype(y)::shape, Shape<dynamic, 3, 16, 16>>);
  verify(y, {"output", .050491, 2.047172, {-2.509929, 3.341450, -1.038105, -2.159136}});
  const auto out = host(ctx, y);
  struct Place { int n, c, h, w; double value; };
  for (const Place& p : {Place{0, 0, 0, 0, -2.509929}, {0, 0, 0, 1, 3.341450}, {0, 0, 1, 0, 3.231042}, {0, 1, 0, 0, -.442249}, {0, 2, 15, 15, 2.878514},
                         {1, 0, 0, 0, -1.984902}, {1, 1, 7, 9, .853574}, {1, 2, 15, 15, 2.388368}})
    check_near(out[static_cast<std::size_t>(((p.n * 3 + p.c) * 16 + p.h) * 16 + p.w)], p.value, tolerance * std::max(1.0, std::abs(p.value)),
               text("output at ", p.n, ", ", p.c, ", ", p.h, ", ", p.w));
  check_near(std::accumulate(out.begin(), out.begin() + 768, 0.0), 45.156146, 20 * tolerance, "sum of image 0");
  check_near(std::accumulate(out.begin() + 768, out.end(), 0.0), 32.398017, 20 * tolerance, "sum of image 1");
}

// 0.3 z + 0.2 t + (0.5 with a label, 0.1 with the null class), as a network on one number.
struct ScalarNet {
  static constexpr int classes = 1;
  template <class Ctx, class Z> auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    using E = typename Ctx::element;
    const auto rest = ops::input_from<typename Z::shape>(ctx, z.batch, [&](E* out) {
      for (std::size_t i = 0; i < times.size(); ++i) out[i] = static_cast<E>(0.2 * times[i] + (labels[i] == classes ? 0.1 : 0.5));
    });
    return ops::combine(ctx, 0.3, z, 1, rest);
  }
};

template <class Method> double integrate_scalar(const SamplerOptions& options) {
  Reference device;
  Workspace<Reference> workspace(device);
  Run<Reference, double> ctx(workspace, nullptr);
  const FlowObjective<Space::x> objective;
  const int label = 0;
  auto z = ops::input_from<Shape<dynamic, 1>>(ctx, 1, [](double* out) { *out = 1; });
  z = integrate<Method>(ctx, z, options, [&](const auto& at, double t) {
    return guided_velocity(ctx, ScalarNet{}, objective, at, t, std::span(&label, 1), options.guidance_at(t));
  }, NoProgress{});
  return host(ctx, z)[0];
}

}  // namespace

TEST_CASE("JiT: time embedding at t = 0.3") {
  Reference device;
  Workspace<Reference> workspace(device);
  Run<Reference, double> ctx(workspace, nullptr);
  const double t = 0.3;
  const auto y = host(ctx, ops::sinusoidal<256>(ctx, std::span(&t, 1)));
  for (const auto& [i, expected] : std::vector<std::pair<int, double>>{{0, .95533651}, {1, .96128404}, {127, 1.0}, {128, .29552022}, {129, .27555943}})
    check_near(y[static_cast<std::size_t>(i)], expected, 3e-8, text("[", i, "]"));  // printed from f32
  check_near(y[255], 3.224e-5, 5e-9, "[255]");
}

TEST_CASE("JiT: sine-cosine position table, columns first") {
  const auto t = table<layer::SinCosTable<16, 768>>();
  const auto at = [&](int token, int i) { return t[static_cast<std::size_t>(token * 768 + i)]; };
  for (int i = 0; i < 768; ++i) CHECK(at(0, i) == ((i / 192) % 2 == 0 ? 0 : 1));
  const std::vector<std::pair<int, double>> turned{{0, .841471}, {1, .815251}, {191, 1.04914e-4}, {192, .540302}, {193, .579108}};
  for (const auto& [i, expected] : turned) {
    check_near(at(1, i), expected, 6e-7, text("token 1 [", i, "]"));
    check_near(at(16, 384 + i), expected, 6e-7, text("token 16 [", 384 + i, "]"));
  }
  for (int i = 0; i < 192; ++i) {
    CHECK(at(1, 384 + i) == 0);
    CHECK(at(1, 576 + i) == 1);
    CHECK(at(16, i) == 0);
    CHECK(at(16, 192 + i) == 1);
  }
}

TEST_CASE("JiT: rotary table, rows first, and a rotation") {
  const auto t = table<layer::RotaryTable<16, 64>>();
  const auto cosine = [&](int token, int i) { return t[static_cast<std::size_t>(token * 64 + i / 2 * 2)]; };
  const auto sine = [&](int token, int i) { return t[static_cast<std::size_t>(token * 64 + i / 2 * 2 + 1)]; };
  for (int i = 0; i < 32; ++i) {
    CHECK(cosine(1, i) == 1);
    CHECK(sine(1, i) == 0);
    CHECK(cosine(16, 32 + i) == 1);
    check_near(cosine(16, i), cosine(1, 32 + i), 0, "the same on the row's half");
    check_near(sine(16, i), sine(1, 32 + i), 0, "the same on the row's half");
  }
  for (const auto& [i, expected] : std::vector<std::pair<int, double>>{{32, .540302}, {33, .540302}, {34, .846009}, {35, .846009}}) check_near(cosine(1, i), expected, 6e-7, "cos");
  for (const auto& [i, expected] : std::vector<std::pair<int, double>>{{32, .841471}, {34, .533168}, {62, 1.77828e-4}}) check_near(sine(1, i), expected, 6e-7, "sin");

  // Tokens of the prefix stand before the grid, unturned.
  const auto prefixed = table<layer::RotaryTable<16, 64, 32>>();
  for (int i = 0; i < 32 * 64; ++i) CHECK(prefixed[static_cast<std::size_t>(i)] == (i % 2 == 0 ? 1 : 0));
  CHECK(std::equal(t.begin(), t.end(), prefixed.begin() + 32 * 64));

  // The rotation of q_d = d / 64 at token 1, by the kernel: one head, no norm, k likewise.
  Reference device;
  std::vector<double> qkv(2 * 3 * 64), qk(2 * 2 * 64);
  for (std::size_t i = 0; i < qkv.size(); ++i) qkv[i] = double(i % 64) / 64;
  Kernels<Reference>::qk_norm_rotary(device, QkShape{2, 2, 1, 64, 1e-6}, qkv.data(), static_cast<const double*>(nullptr), static_cast<const double*>(nullptr),
                                     t.data(), qk.data(), static_cast<double*>(nullptr));
  for (const auto& [i, expected] : std::vector<std::pair<int, double>>{
           {31, .484375}, {32, -.163732}, {33, .699329}, {34, .157866}, {35, .745907}, {62, .968575}, {63, .984547}}) {
    check_near(qk[static_cast<std::size_t>(128 + i)], expected, 6e-7, text("q [", i, "]"));
    check_near(qk[static_cast<std::size_t>(192 + i)], expected, 6e-7, text("k [", i, "]"));
  }
}

TEST_CASE("JiT: a tiny network, stage by stage, f64 on Reference") { run_tiny<Reference, double>(1.5e-6); }
TEST_CASE("JiT: a tiny network, stage by stage, f64 on Cpu") { run_tiny<Cpu, double>(1.5e-6); }
TEST_CASE("JiT: a tiny network, stage by stage, f32 on Cpu") { run_tiny<Cpu, float>(1e-5); }

TEST_CASE("JiT: Euler, Heun, guidance and clamp on one number") {
  const auto row = []<class Method>(Method, const char* name, int steps, double plain, double guided, double late) {
    const std::string what = text(steps, " steps of ", name);
    check_near(integrate_scalar<Method>({steps, 1, 0, 1}), plain, 1e-9, what + ", w = 1");
    check_near(integrate_scalar<Method>({steps, 2, 0, 1}), guided, 1e-9, what + ", w = 2");
    check_near(integrate_scalar<Method>({steps, 2, 0.1, 1}), late, 1e-9, what + ", w = 2 on (0.1, 1)");
  };
  row(Euler{}, "Euler", 4, .917775000, 1.418725000, 1.403775000);
  row(Heun{}, "Heun", 4, .926924879, 1.435717632, 1.430569920);
  row(Euler{}, "Euler", 50, .971686164, 1.510342876, 1.507285421);
  row(Heun{}, "Heun", 50, .972983565, 1.510712307, 1.507850727);
}

TEST_CASE("JiT: the law of times") {
  const Random random{11, Stream::time, 0};
  std::vector<double> t(1 << 19);
  for (std::size_t i = 0; i < t.size(); ++i) t[i] = LogitNormal<>::sample(random, i);
  std::sort(t.begin(), t.end());
  const double n = double(t.size());
  for (const auto& [quantile, expected] : std::vector<std::pair<double, double>>{{.05, .10756}, {.25, .20758}, {.5, .31003}, {.75, .43526}, {.95, .62618}})
    check_near(t[static_cast<std::size_t>(quantile * n)], expected, 2e-3, text("quantile ", quantile));
  const double mean = std::accumulate(t.begin(), t.end(), 0.0) / n;
  check_near(mean, .33104, 1e-3, "mean");
  check_near(std::sqrt(std::inner_product(t.begin(), t.end(), t.begin(), 0.0) / n - mean * mean), .15918, 1e-3, "standard deviation");
  CHECK(std::count_if(t.begin(), t.end(), [](double x) { return x > 0.95; }) <= 8);  // 1.4e-6 of them

  // E[1 / max(1 - t, 0.05)^2] by the trapezoidal rule over the normal's density.
  double sum = 0;
  for (int i = -8000; i <= 8000; ++i) {
    const double x = i / 1000.0, time = 1 / (1 + std::exp(-(-0.8 + 0.8 * x)));
    sum += loss_weight(Space::x, Space::v, time) * std::exp(-x * x / 2) / std::sqrt(2 * 3.14159265358979323846) / 1000;
  }
  check_near(sum, 2.9635, 5e-5, "the mean weight");
}

TEST_CASE("JiT: at initialisation the output is zero and the loss 2.9635 E[x^2]") {
  Cpu device(1);
  Weights<Tiny, Cpu> weights(device, 3);
  Workspace<Cpu> workspace(device);
  Tape<Cpu> tape(workspace);
  Record<Cpu> ctx(tape, weights.data(), nullptr, {5, 2, 0});
  constexpr Index batch = 4096;
  const auto x = ops::input_from<Tiny::ImageShape>(ctx, batch, [](float* out) {
    for (Index i = 0; i < batch * 768; ++i) out[i] = i % 2 ? 0.5f : -0.7f;
  });
  const std::vector<int> labels(batch, 2);
  const FlowObjective<Space::x, Space::v> objective;
  const auto loss = host(ctx, objective.loss(ctx, weights.model(), x, labels))[0];
  const double square = (0.25 + 0.49) / 2;
  double weight = 0;
  for (Index b = 0; b < batch; ++b) weight += loss_weight(Space::x, Space::v, LogitNormal<>::sample({5, Stream::time, 2}, std::uint64_t(b))) / double(batch);
  check_near(loss, weight * square, 1e-5, "for the drawn times");
  check_near(loss, 2.9635 * square, 0.1 * square, "in the mean");

  const std::vector<double> times(batch, 0.5);
  const auto y = host(ctx, weights.model()(ctx, x, times, labels));
  CHECK(std::count(y.begin(), y.end(), 0.0) == batch * 768);
}

TEST_CASE("JiT-B/16: names, order and shapes of the published checkpoint") {
  std::vector<std::pair<std::string, std::vector<Index>>> expected{
      {"pos_embed", {1, 256, 768}},
      {"in_context_posemb", {1, 32, 768}},
      {"t_embedder.mlp.0.weight", {768, 256}},
      {"t_embedder.mlp.0.bias", {768}},
      {"t_embedder.mlp.2.weight", {768, 768}},
      {"t_embedder.mlp.2.bias", {768}},
      {"y_embedder.embedding_table.weight", {1001, 768}},
      {"x_embedder.proj1.weight", {128, 3, 16, 16}},
      {"x_embedder.proj2.weight", {768, 128, 1, 1}},
      {"x_embedder.proj2.bias", {768}},
  };
  for (int i = 0; i < 12; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    for (const auto& [name, shape] : std::vector<std::pair<std::string, std::vector<Index>>>{
             {"norm1.weight", {768}},
             {"attn.q_norm.weight", {64}},
             {"attn.k_norm.weight", {64}},
             {"attn.qkv.weight", {2304, 768}},
             {"attn.qkv.bias", {2304}},
             {"attn.proj.weight", {768, 768}},
             {"attn.proj.bias", {768}},
             {"norm2.weight", {768}},
             {"mlp.w12.weight", {4096, 768}},
             {"mlp.w12.bias", {4096}},
             {"mlp.w3.weight", {768, 2048}},
             {"mlp.w3.bias", {768}},
             {"adaLN_modulation.1.weight", {4608, 768}},
             {"adaLN_modulation.1.bias", {4608}},
         })
      expected.emplace_back(block + name, shape);
  }
  expected.insert(expected.end(), {{"final_layer.norm_final.weight", {768}},
                                   {"final_layer.linear.weight", {768, 768}},
                                   {"final_layer.linear.bias", {768}},
                                   {"final_layer.adaLN_modulation.1.weight", {1536, 768}},
                                   {"final_layer.adaLN_modulation.1.bias", {1536}}});
  REQUIRE(expected.size() == 183);

  auto model = std::make_unique<JiT_B_16>();
  const Index size = bind(*model);
  const auto found = parameter_table(*model);
  REQUIRE(found.size() == 183);
  Index end = 0, elements = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].name == expected[i].first);
    CHECK(found[i].shape == expected[i].second);
    CHECK(found[i].frozen == (i == 0));
    CHECK(found[i].decays == (found[i].shape.size() >= 2 && found[i].shape[0] > 1));
    CHECK(found[i].offset >= end);
    CHECK(found[i].offset % parameter_alignment == 0);
    end = found[i].offset + found[i].size;
    elements += found[i].size;
  }
  CHECK(elements == 131'320'320);
  CHECK(size >= end);
}
