// Numbers that an independent implementation of REG (arXiv 2507.01467) gives: its tables, a tiny network, and the names and shapes that its code gives to checkpoints.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/models/sit.hpp>
#include <sfumato/train/weights_file.hpp>

#include "check_error.hpp"
#include "golden/near.hpp"
#include "golden/starts.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
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

// A latent of 4 x 8 x 8 in patches of 2, a trunk of three blocks of width 48, a class token of 20 values, aligned behind the second block.
using Latent = ImagePatches<8, 4, 2, 1000>;
using TinyTrunk = SiTTrunk<48, 3, 4>;
using Tiny = SiT<Latent, TinyTrunk, ClassToken<20>, Alignment<2, 20, 32>>;
using Plain = SiT<Latent, TinyTrunk>;
using AlignedOnly = SiT<Latent, TinyTrunk, Alignment<2, 20, 32>>;

using Shapes = std::vector<std::pair<std::string, std::vector<Index>>>;
/// A published checkpoint's tensors, in its order.
Shapes published_shapes(Index d, int depth, Index tokens, Index teacher, Index hidden) {
  Shapes out;
  const auto layer = [&](const std::string& name, std::vector<Index> weight) {
    const Index outputs = weight[0];
    out.emplace_back(name + ".weight", std::move(weight));
    out.emplace_back(name + ".bias", std::vector<Index>{outputs});
  };
  out.emplace_back("pos_embed", std::vector<Index>{1, tokens, d});
  layer("x_embedder.proj", {d, 4, 2, 2});
  layer("t_embedder.mlp.0", {d, 256});
  layer("t_embedder.mlp.2", {d, d});
  out.emplace_back("y_embedder.embedding_table.weight", std::vector<Index>{1001, d});
  for (int b = 0; b < depth; ++b) {
    const std::string block = text("blocks.", b, '.');
    layer(block + "attn.qkv", {3 * d, d});
    layer(block + "attn.proj", {d, d});
    layer(block + "mlp.fc1", {4 * d, d});
    layer(block + "mlp.fc2", {d, 4 * d});
    layer(block + "adaLN_modulation.1", {6 * d, d});
  }
  layer("projectors.0.0", {hidden, d});
  layer("projectors.0.2", {hidden, hidden});
  layer("projectors.0.4", {teacher, hidden});
  layer("final_layer.linear", {16, d});
  layer("final_layer.linear_cls", {teacher, d});
  layer("final_layer.adaLN_modulation.1", {2 * d, d});
  layer("cls_projectors2", {d, teacher});
  layer("wg_norm", {d});
  return out;
}
template <class Model> Shapes found_shapes() {
  auto model = std::make_unique<Model>();
  bind(*model);
  Shapes out;
  for (const ParameterInfo& p : parameter_table(*model)) {
    out.emplace_back(p.name, p.shape);
    CHECK(p.frozen == (p.name == "pos_embed"));
  }
  return out;
}

/// Element i of tensor s is 0.05 sin(0.7 + 1.3 s + 0.37 i), and 1 more in the class token's norm; the position table stays.
template <class E> void fill_tiny(const Tiny& model, std::vector<E>& weights) {
  initialise(model, 0, weights.data());
  int s = 0;
  for (const ParameterInfo& p : parameter_table(model)) {
    for (Index i = 0; i < p.size && s > 0; ++i)
      weights[static_cast<std::size_t>(p.offset + i)] = static_cast<E>(0.05 * std::sin(0.7 + 1.3 * s + 0.37 * double(i)) + (p.name == "wg_norm.weight" ? 1 : 0));
    ++s;
  }
  CHECK(s == 54);
  CHECK(parameter_count<Tiny>(true) == 201'800);
}

struct Expected {
  const char* name;
  double sum, squares;
  std::vector<double> first, last;
};
void verify(const std::vector<double>& found, const Expected& expected, double tolerance) {
  const double n = double(found.size());
  check_near(std::accumulate(found.begin(), found.end(), 0.0), expected.sum, tolerance * n, text(expected.name, ", sum"));
  check_near(std::inner_product(found.begin(), found.end(), found.begin(), 0.0), expected.squares, tolerance * n, text(expected.name, ", squares"));
  for (std::size_t i = 0; i < expected.first.size(); ++i) check_near(found[i], expected.first[i], tolerance, text(expected.name, "[", i, "]"));
  for (std::size_t i = 0; i < expected.last.size(); ++i)
    check_near(found[found.size() - expected.last.size() + i], expected.last[i], tolerance, text(expected.name, "[-", expected.last.size() - i, "]"));
}

template <class B, class E> void run_tiny(double tolerance) {
  B device;
  Weights<Tiny, B, E> weights(device);
  std::vector<E> elements(static_cast<std::size_t>(weights.size()));
  fill_tiny(weights.model(), elements);
  weights.values().upload(elements);
  Workspace<B> workspace(device);
  Run<B, E> ctx(workspace, weights.data());
  constexpr int latent = 256, dim = 20;
  const auto z = ops::input_from<Tiny::ImageShape>(ctx, 2, [](E* out) {
    for (int b = 0; b < 2; ++b) {
      for (int i = 0; i < latent; ++i) out[b * (latent + dim) + i] = static_cast<E>(std::sin(0.11 * (b * latent + i)));
      for (int i = 0; i < dim; ++i) out[b * (latent + dim) + latent + i] = static_cast<E>(std::cos(0.23 * (b * dim + i)));
    }
  });
  const std::vector<double> data{1 - 0.3, 1 - 0.8};
  const std::vector<int> labels{3, 1000};
  const auto both = weights.model().with_projection(ctx, z, data, labels);
  // Published, the velocity is noise less data.
  const auto velocity = host(ctx, ops::scale(ctx, -1, both.velocity));
  std::vector<double> of_latent, of_class;
  for (int b = 0; b < 2; ++b) {
    const auto row = velocity.begin() + b * (latent + dim);
    of_latent.insert(of_latent.end(), row, row + latent);
    of_class.insert(of_class.end(), row + latent, row + latent + dim);
  }
  verify(of_latent, {"latent velocity", 1.00146512756, 116.278801677, {-.306455528, .058263745, -.119408791, -.242351662}, {.11830134, -.563961223}}, tolerance);
  verify(of_class, {"class velocity", -.0197344309, .511276396533, {.079623458, -.088055021, -.189992447, -.101339342}, {}}, tolerance);
  verify(host(ctx, both.projection), {"projected tokens", 3.28973192055, .994773039126, {.007293711, .038023722, .057113914, .060512042}, {}}, tolerance);
  // Without the projection the velocity has the same bits.
  CHECK(host(ctx, weights.model()(ctx, z, data, labels)) == host(ctx, both.velocity));
}

}  // namespace

// The frequencies of time were f32 numbers there, hence the bound.
TEST_CASE("REG: a tiny network, f64 on Reference") { run_tiny<Reference, double>(1e-8); }
TEST_CASE("REG: a tiny network, f32 on Cpu") { run_tiny<Cpu, float>(1e-6); }

TEST_CASE("REG: the tables of positions and times") {
  using Table = layer::SinCosTable<16, 768, 1>;
  std::vector<double> table(static_cast<std::size_t>(Table::size));
  Table::fill(table.data());
  CHECK(std::all_of(table.begin(), table.begin() + 768, [](double v) { return v == 0; }));  // the class token's
  const int places[] = {0, 1, 192, 384, 385, 576};
  const double column[] = {.84147098, .81525065, .54030231, 0, 0, 1}, row[] = {0, 0, 1, .84147098, .81525065, .54030231};
  for (std::size_t i = 0; i < 6; ++i) {
    check_near(table[std::size_t(2 * 768 + places[i])], column[i], 5e-9, text("row 0, column 1, ", places[i]));
    check_near(table[std::size_t(17 * 768 + places[i])], row[i], 5e-9, text("row 1, column 0, ", places[i]));
  }
  check_near(std::accumulate(table.begin(), table.end(), 0.0), 89660.3164, 1e-2, "sum");
  check_near(std::inner_product(table.begin(), table.end(), table.begin(), 0.0), 98304, 1e-6, "squares");

  Reference device;
  Workspace<Reference> workspace(device);
  Run<Reference, double> ctx(workspace, nullptr);
  const std::vector<double> times{.5, .04, 1}, sums{134.172310, 128.570057, 138.002995};
  const auto embedded = host(ctx, ops::sinusoidal<256>(ctx, times));
  const std::pair<int, double> first[] = {{0, .87758255}, {1, .89369327}, {127, 1.0}, {128, .47942555}, {129, .44867843}, {255, 5.373038e-5}};
  for (const auto& [place, value] : first) check_near(embedded[std::size_t(place)], value, 2e-8, text("time 0.5, ", place));
  for (std::size_t b = 0; b < 3; ++b) check_near(std::accumulate(embedded.begin() + std::ptrdiff_t(b) * 256, embedded.begin() + std::ptrdiff_t(b + 1) * 256, 0.0), sums[b], 1e-4, text("sum at ", times[b]));
}

TEST_CASE("REG: names and shapes as the published code has them, in its order") {
  CHECK(found_shapes<Tiny>() == published_shapes(48, 3, 17, 20, 32));
  CHECK(found_shapes<REG_XL_2<>>() == published_shapes(1152, 28, 257, 768, 2048));
  CHECK(found_shapes<REG_XL_2<>>().size() == 304);
  CHECK(found_shapes<REG_B_2<>>() == published_shapes(768, 12, 257, 768, 2048));
  CHECK(found_shapes<REG_L_2<>>().size() == 264);
  for (const auto& [name, shape] : found_shapes<SiT_B_2<>>()) CHECK(name.find("cls") == std::string::npos);
}

TEST_CASE("REG: a file of published names and shapes loads; of another it is said what differs") {
  const io_test::TemporaryDirectory folder;
  std::vector<float> values(201'800);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(float(i));
  std::vector<io::TensorToWrite> tensors;
  Index offset = 0;
  for (const auto& [name, shape] : published_shapes(48, 3, 17, 20, 32)) {
    tensors.push_back({name, io::Dtype::f32, shape, values.data() + offset});
    offset += std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>{});
  }
  REQUIRE(offset == Index(values.size()));
  io::write_safetensors(folder / "reg.safetensors", tensors, {});
  Cpu cpu(1);
  Weights<Tiny, Cpu> loaded(cpu);
  load_weights(folder / "reg.safetensors", loaded);
  std::vector<float> found(std::size_t(loaded.size()));
  loaded.values().download(found);
  offset = 0;
  for (const ParameterInfo& p : parameter_table(loaded.model())) {
    CHECK(std::equal(values.begin() + offset, values.begin() + offset + p.size, found.begin() + p.offset));
    offset += p.size;
  }
  Weights<Plain, Cpu> plain(cpu);
  check_error([&] { load_weights(folder / "reg.safetensors", plain); }, "checkpoint-mismatch", {"pos_embed", "extra: wg_norm.weight (48)", "extra: projectors.0.4.bias (20)"});
}

TEST_CASE("REG starts as published: Xavier's law, normal tables, zeros where it ends") {
  const auto start = starts<Tiny>();
  check_within(start.at("blocks.0.attn.qkv.weight"), std::sqrt(6.0 / (48 + 144)));
  check_within(start.at("blocks.2.mlp.fc1.weight"), std::sqrt(6.0 / (48 + 192)));
  check_within(start.at("x_embedder.proj.weight"), std::sqrt(6.0 / (48 + 16)));
  check_within(start.at("cls_projectors2.weight"), std::sqrt(6.0 / (48 + 20)));
  check_within(start.at("projectors.0.2.weight"), std::sqrt(6.0 / (32 + 32)));
  for (const char* name : {"t_embedder.mlp.0.weight", "t_embedder.mlp.2.weight", "y_embedder.embedding_table.weight"}) CHECK(start.at(name).deviation == doctest::Approx(0.02).epsilon(0.1));
  for (const char* name : {"blocks.1.adaLN_modulation.1.weight", "final_layer.linear.weight", "final_layer.linear_cls.weight", "final_layer.linear_cls.bias", "final_layer.adaLN_modulation.1.weight",
                           "blocks.0.attn.qkv.bias", "x_embedder.proj.bias", "t_embedder.mlp.0.bias", "projectors.0.4.bias", "wg_norm.bias"})
    CHECK(start.at(name).largest == 0);
  CHECK(start.at("wg_norm.weight").deviation == doctest::Approx(1));
}

TEST_CASE("SiT, REPA and REG: at first the velocity is zero, at any time and for any label") {
  const auto verify_zero = []<class Model>(const Model*) {
    Cpu cpu(1);
    Weights<Model, Cpu> weights(cpu, 3);
    Workspace<Cpu> workspace(cpu);
    Run<Cpu> ctx(workspace, weights.values());
    const auto z = ops::normal<typename Model::ImageShape>(ctx, 3, Random{.seed = 1});
    const std::vector<double> times{0, 0.4, 1};
    const std::vector<int> labels{0, 1000, 2};
    const auto velocity = weights.model()(ctx, z, times, labels);
    static_assert(std::is_same_v<typename decltype(velocity)::shape, typename Model::ImageShape>);
    for (const double v : host(ctx, velocity)) CHECK(v == 0);
    check_error([&] { weights.model()(ctx, z, times, std::span(labels).first(2)); }, "batch", {"3 samples, 3 times and 2 labels"});
  };
  verify_zero(static_cast<const Tiny*>(nullptr));
  verify_zero(static_cast<const Plain*>(nullptr));
  verify_zero(static_cast<const AlignedOnly*>(nullptr));
}
