// RAE's discriminator: the numbers that an independent implementation (discriminator.py) gives for its heads and for all of it, its size,
// and its official names; DINO's, which it sees by.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/models/discriminator.hpp>
#include <sfumato/train/official_names.hpp>

#include "check_error.hpp"
#include "golden/near.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using io_test::TemporaryDirectory;

namespace {

static_assert(parameter_count<RAEDiscriminator>() == 7'386'245 && RAEDiscriminator::heads_count * RAEDiscriminator::tokens == 3920);
static_assert(DINO_S8::positions == 785 && DINO_S8::prefix == 1);

using Network = VisionEncoder<EncoderInput<10, 2>, Transformer<4, 2, LayerNorm, GELUTanh, Heads<1>>, LayerNorm, true>;  // 25 places
using Tiny = Discriminator<Network, 3, 0, 1>;
using Features = Shape<dynamic, 5, 4>;

// Element n of tensor k is 0.5 sin(0.37 n + 1.3 k + 0.5).
template <class Model> std::vector<double> elements(const Model& model, Index size) {
  std::vector<double> out(static_cast<std::size_t>(size));
  int k = 0;
  for (const ParameterInfo& p : parameter_table(model)) {
    for (Index n = 0; n < p.size; ++n) out[static_cast<std::size_t>(p.offset + n)] = 0.5 * std::sin(0.37 * double(n) + 1.3 * k + 0.5);
    ++k;
  }
  return out;
}
template <class Model> std::map<std::string, std::vector<Index>> shapes() {
  std::map<std::string, std::vector<Index>> out;
  Model model{};
  bind(model);
  for (const ParameterInfo& p : parameter_table(model)) out.emplace(p.name, p.shape);
  return out;
}
void save(const std::filesystem::path& path, const std::vector<ParameterInfo>& table, const std::vector<float>& values) {
  std::vector<io::TensorToWrite> tensors;
  for (const ParameterInfo& p : table) tensors.push_back({p.name, io::Dtype::f32, p.shape, values.data() + p.offset});
  io::write_safetensors(path, tensors, {});
}

template <class Ctx, class V> std::vector<double> host(Ctx& ctx, const V& v) {
  std::vector<double> out(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(out));
  return out;
}
std::vector<double> waves(std::size_t size) {
  std::vector<double> out(size);
  for (std::size_t n = 0; n < size; ++n) out[n] = std::sin(0.13 * double(n) + 0.7);
  return out;
}

/// Of two images of Side x Side: mean and root mean square of all opinions, and the first and last of each head's, the first head's of the first image.
template <int Side> void verify_from_images(double mean, double rms, const std::vector<double>& places) {
  Cpu cpu(1);
  Weights<Network, Cpu, double> network(cpu);
  network.values().upload(elements(network.model(), network.size()));
  Weights<Tiny, Cpu, double> weights(cpu);
  weights.values().upload(elements(weights.model(), weights.size()));
  Workspace<Cpu> workspace(cpu);
  Run<Cpu, double> ctx(workspace, weights.values());
  auto frozen = ctx.frozen(network.values());
  using Images = Shape<dynamic, 3, Side, Side>;
  const auto y = weights.model()(frozen, ctx, network.model(), ops::input<Images>(ctx, waves(std::size_t(2 * Images::row))));
  static_assert(std::is_same_v<typename decltype(y)::shape, Shape<dynamic, 75>>);
  const auto found = host(ctx, y);
  double sum = 0, square = 0;
  for (const double v : found) sum += v / 150, square += v * v / 150;
  check_near(sum, mean, 1e-7, "mean");
  check_near(std::sqrt(square), rms, 1e-7, "root mean square");
  const std::vector<std::size_t> at{0, 24, 25, 75 + 49, 75 + 50, 75 + 74};
  for (std::size_t i = 0; i < at.size(); ++i) check_near(found[at[i]], places[i], 1e-7, text("[", at[i], "]"));
}

/// A network's taps against its trunk's blocks on tokens put together by hand.
template <class Net> void verify_taps() {
  constexpr std::size_t width = Net::width, prefix = Net::prefix, tokens = Net::tokens, all = prefix + tokens;
  Cpu cpu(1);
  Weights<Net, Cpu, double> weights(cpu);
  const auto values = elements(weights.model(), weights.size());
  weights.values().upload(values);
  Workspace<Cpu> workspace(cpu);
  Run<Cpu, double> ctx(workspace, weights.values());
  const Net& net = weights.model();
  const auto x = ops::input<typename Net::ImageShape>(ctx, waves(std::size_t(2 * Net::ImageShape::row)));
  const auto patches = host(ctx, net.embed(ctx, x));

  std::vector<double> stream;
  const auto row = [&](const double* from) { stream.insert(stream.end(), from, from + width); };
  for (std::size_t b = 0; b < 2; ++b) {
    if constexpr (!is_none<decltype(net.cls_token)>)
      for (std::size_t c = 0; c < width; ++c) stream.push_back(values[std::size_t(net.cls_token.offset) + c] + values[std::size_t(net.pos_embed.offset) + c]);
    if constexpr (!is_none<decltype(net.register_tokens)>)
      for (std::size_t r = 0; r < std::remove_cvref_t<decltype(net.register_tokens)>::size / width; ++r) row(&values[std::size_t(net.register_tokens.offset) + r * width]);
    for (std::size_t p = 0; p < tokens; ++p) row(&patches[(b * tokens + p) * width]);
  }
  REQUIRE(stream.size() == 2 * all * width);
  const auto start = ops::input<Shape<dynamic, int(all), int(width)>>(ctx, stream);
  const auto without_prefix = [&](const std::vector<double>& of) {
    std::vector<double> out;
    for (std::size_t i = 0; i < of.size(); ++i)
      if (i / width % all >= prefix) out.push_back(of[i]);
    return out;
  };
  const auto check_same = [](const std::vector<double>& found, const std::vector<double>& expected, const std::string& what) {
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) check_near(found[i], expected[i], 1e-12, text(what, "[", i, "]"));
  };
  const auto [first, third] = net.template taps<0, 2>(ctx, x);
  check_same(host(ctx, first), without_prefix(host(ctx, net.trunk.template blocks_between<0, 1>(ctx, start, None{}))), "first");
  check_same(host(ctx, third), without_prefix(host(ctx, net.trunk.template blocks_between<0, 3>(ctx, start, None{}))), "third");
  // The last norm is what a network adds to its last block.
  check_same(host(ctx, net(ctx, x)), host(ctx, net.norm(ctx, third)), "tokens");
}

}  // namespace

TEST_CASE("taps of a vision encoder: what its blocks leave behind, without class token and registers, before the last norm") {
  using Trunk = Transformer<4, 3, LayerNorm, GELUTanh, Heads<1>>;
  verify_taps<VisionEncoder<EncoderInput<6, 2>, Trunk, LayerNorm, true>>();
  verify_taps<VisionEncoder<EncoderInput<6, 2, 4>, Trunk, LayerNormNoAffine, true, 2>>();
  verify_taps<VisionEncoder<EncoderInput<6, 2>, Trunk, LayerNorm, false, 3>>();
  verify_taps<VisionEncoder<EncoderInput<6, 2>, Trunk, LayerNorm, false>>();
}

TEST_CASE("discriminator: from images that are enlarged, kept or reduced, by a tiny DINO's blocks") {
  verify_from_images<8>(-1.23241284, 2.71661854, {-3.93246969, -2.38834616, 2.62245583, 2.81488978, -1.04735371, -1.62858438});
  verify_from_images<10>(-1.27581165, 2.70993126, {-4.41411948, -3.25134039, 0.39619561, -0.61333802, -1.23917618, -1.35285375});
  verify_from_images<14>(-1.26116843, 2.66051459, {-4.18238543, -1.77742134, 2.22179632, -0.99102259, -1.52682360, -1.39210054});
}

TEST_CASE("discriminator: three heads on two blocks' features") {
  const std::vector<double> expected{-6.6648762, -3.5355126, -2.07761224, -2.41763907, -3.7854841, 1.91521781, 0.8139138, 0.22503549, 1.23120816, 3.11800639, -0.89317816, -2.02876416, -1.76392058, -1.432537, -1.30043573,
                                     -3.4865805, -4.96753745, -3.80305816, -4.09488677, -2.21799857, 3.17420571, 2.07592327, 1.64638044, 0.83904364, -0.77216645, -1.73525793, -1.04893116, -1.49838677, -1.91550581, -1.68129413};
  Cpu cpu(1);
  Weights<Tiny, Cpu, double> weights(cpu);
  weights.values().upload(elements(weights.model(), weights.size()));
  Workspace<Cpu> workspace(cpu);
  Run<Cpu, double> ctx(workspace, weights.values());
  const auto features = [&](int tap) {
    return ops::input_from<Features>(ctx, 2, [&](double* out) { for (int n = 0; n < 2 * 5 * 4; ++n) out[n] = std::cos(0.21 * n + 0.9 * tap); });
  };
  const auto y = weights.model()(ctx, std::make_tuple(features(0), features(1)));
  static_assert(std::is_same_v<decltype(y)::shape, Shape<dynamic, 15>>);
  std::vector<double> found(30);
  ops::output(ctx, y, std::span(found));
  for (std::size_t i = 0; i < found.size(); ++i) check_near(found[i], expected[i], 1e-7, text("[", i, "]"));
}

TEST_CASE("spectral norm: one step of power iteration, and where many lead") {
  Cpu cpu(1);
  Weights<Tiny, Cpu, double> weights(cpu);
  const auto before = elements(weights.model(), weights.size());
  weights.values().upload(before);
  Workspace<Cpu> workspace(cpu);
  iterate_power(workspace, weights.model(), weights.values());
  const auto& mix = weights.model().heads[1].mix;
  const auto read = [&](Index offset, std::size_t n) {
    std::vector<double> out(n);
    weights.values().download(out, offset);
    return out;
  };
  const std::vector<double> u{-0.56481073, -0.34169216, 0.74866374, -0.0611385}, v{-0.0399956, 0.12338479, 0.27006562, 0.38019434};
  for (std::size_t i = 0; i < 4; ++i) {
    check_near(read(mix.weight_u.offset, 4)[i], u[i], 1e-7, "u");
    check_near(read(mix.weight_v.offset, 4)[i], v[i], 1e-7, "v");
  }
  const auto sigma = [&] {
    Run<Cpu, double> ctx(workspace, weights.values());
    double out = 0;
    ops::output(ctx, mix.largest_singular_value(ctx), std::span(&out, 1));
    return out;
  };
  check_near(sigma(), 1.4932190102347018, 1e-9, "sigma after one");
  for (int i = 0; i < 200; ++i) iterate_power(workspace, weights.model(), weights.values());
  check_near(sigma(), 2.121313625157283, 1e-9, "sigma after many");
  // Nothing else was touched.
  for (const ParameterInfo& p : parameter_table(weights.model()))
    if (!p.frozen) CHECK_MESSAGE(read(p.offset, std::size_t(p.size)) == std::vector<double>(before.begin() + p.offset, before.begin() + p.offset + p.size), p.name);

  // At first they are vectors of length 1, not all alike.
  const Weights<Tiny, Cpu, double> fresh(cpu, 7);
  std::vector<double> first(12);
  fresh.values().download(first, fresh.model().heads[0].mix.weight_v.offset);
  double square = 0, sum = 0;
  for (const double x : first) square += x * x, sum += x;
  check_near(square, 1, 1e-12, "squared length");
  CHECK(std::abs(sum) < std::sqrt(12.0) - 0.1);
}

TEST_CASE("discriminator: the official names and shapes") {
  const auto found = shapes<RAEDiscriminator>();
  CHECK(found.size() == 5 * 16);
  const std::vector<std::pair<std::string, std::vector<Index>>> expected{
      {"heads.0.0.0.weight_orig", {384, 384, 1}}, {"heads.0.0.0.weight_u", {384}}, {"heads.0.0.0.weight_v", {384}}, {"heads.0.0.0.bias", {384}}, {"heads.0.0.1.weight", {384}}, {"heads.0.0.1.bias", {384}},
      {"heads.4.1.fn.0.weight_orig", {384, 384, 9}}, {"heads.4.1.fn.0.weight_u", {384}}, {"heads.4.1.fn.0.weight_v", {3456}}, {"heads.4.1.fn.0.bias", {384}}, {"heads.4.1.fn.1.weight", {384}},
      {"heads.4.1.fn.1.bias", {384}}, {"heads.2.2.weight_orig", {1, 384, 1}}, {"heads.2.2.weight_u", {1}}, {"heads.2.2.weight_v", {384}}, {"heads.2.2.bias", {1}}};
  for (const auto& wanted : expected) {
    REQUIRE_MESSAGE(found.contains(wanted.first), wanted.first);
    CHECK_MESSAGE(found.at(wanted.first) == wanted.second, wanted.first);
  }
  const auto dino = shapes<DINO_S8>();
  CHECK(dino.size() == 6 + 12 * 12);
  const std::vector<std::pair<std::string, std::vector<Index>>> of_dino{
      {"cls_token", {1, 1, 384}}, {"pos_embed", {1, 785, 384}}, {"patch_embed.proj.weight", {384, 3, 8, 8}}, {"patch_embed.proj.bias", {384}}, {"blocks.0.norm1.weight", {384}}, {"blocks.11.norm2.bias", {384}},
      {"blocks.3.attn.qkv.weight", {1152, 384}}, {"blocks.3.attn.qkv.bias", {1152}}, {"blocks.3.attn.proj.weight", {384, 384}}, {"blocks.3.mlp.fc1.weight", {1536, 384}}, {"blocks.3.mlp.fc2.bias", {384}},
      {"norm.weight", {384}}, {"norm.bias", {384}}};
  for (const auto& wanted : of_dino) {
    REQUIRE_MESSAGE(dino.contains(wanted.first), wanted.first);
    CHECK_MESSAGE(dino.at(wanted.first) == wanted.second, wanted.first);
  }
}

TEST_CASE("discriminator: files in the official names load, and what does not fit is listed") {
  const TemporaryDirectory folder;
  Cpu cpu(1);
  const auto try_both = [&]<class Model>(const Weights<Model, Cpu>& random, const NameTable& names, const std::string& missing, const std::string& misshaped) {
    std::vector<float> values(static_cast<std::size_t>(random.size())), read(values);
    random.values().download(values);
    auto table = names.translated(parameter_table(random.model()));
    save(folder / "good.safetensors", table, values);
    Weights<Model, Cpu> weights(cpu);
    load_weights(folder / "good.safetensors", weights, names);
    weights.values().download(read);
    CHECK(read == values);

    std::erase_if(table, [&](const ParameterInfo& p) { return p.name == missing; });
    for (ParameterInfo& p : table)
      if (p.name == misshaped) p.shape = {p.size};
    table.push_back({"stray.weight", {2}, 0, 2, false, false});
    save(folder / "bad.safetensors", table, values);
    check_error([&] { load_weights(folder / "bad.safetensors", weights, names); }, "checkpoint-mismatch", {"missing: " + missing, "shape: " + misshaped, "extra: stray.weight (2)"});
  };
  try_both(Weights<Tiny, Cpu>(cpu, 1), NameTable{}, "heads.1.1.fn.0.weight_u", "heads.2.0.0.weight_orig");
  try_both(Weights<Network, Cpu>(cpu, 2), dino_names(), "blocks.1.mlp.fc1.bias", "cls_token");
}
