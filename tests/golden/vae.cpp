// A tiny AutoencoderKL against an implementation of its own (vae.py), and files of its weights under the three published layouts' names.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/models/autoencoder_kl.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/official_names.hpp>

#include "check_error.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;

namespace {

using Tiny = AutoencoderKL<8, 3, 4, Stages<8, 16>, 2, 4>;

template <class Model> void fill(Weights<Model, Cpu>& weights) {
  std::vector<float> elements(std::size_t(weights.size()));
  for (const ParameterInfo& p : parameter_table(weights.model())) {
    long sum = 0;
    for (std::size_t k = 0; k < p.name.size(); ++k) sum += long(k + 1) * p.name[k];
    const bool norm = p.name.find("norm") != std::string::npos && p.name.ends_with("weight");
    for (Index n = 0; n < p.size; ++n) elements[std::size_t(p.offset + n)] = float((norm ? 1 : 0) + float(0.15 * std::sin(0.37 * double(n) + 0.01 * double(sum % 1000))));
  }
  weights.values().upload(elements);
}

struct Expected {
  const char* what;
  double mean, square;
  std::vector<std::pair<std::size_t, double>> at;
};
void compare(const std::vector<double>& y, const Expected& e) {
  const auto near = [&](double found, double expected, const std::string& where) {
    INFO(e.what << ", " << where << ": found " << found << ", expected " << expected);
    CHECK(std::abs(found - expected) < 3e-6);
  };
  near(std::accumulate(y.begin(), y.end(), 0.0) / double(y.size()), e.mean, "mean");
  near(std::sqrt(std::inner_product(y.begin(), y.end(), y.begin(), 0.0) / double(y.size())), e.square, "root mean square");
  for (const auto& [i, value] : e.at) near(y[i], value, text("[", i, "]"));
}

}  // namespace

TEST_CASE("autoencoder: what a tiny one makes of images, and images of that") {
  Cpu cpu(2);
  Weights<Tiny, Cpu> weights(cpu);
  fill(weights);
  Workspace<Cpu> workspace(cpu);
  Run<Cpu> ctx(workspace, weights.values());
  const auto images = ops::input_from<Tiny::ImageShape>(ctx, 2, [](float* out) {
    for (int n = 0; n < 2 * 3 * 64; ++n) out[n] = float(std::sin(0.13 * n + 0.7));
  });
  const auto posterior = weights.model().encode(ctx, images);
  const auto host = [&](const auto& v) {
    std::vector<double> out(std::size_t(v.size()));
    ops::output(ctx, v, std::span(out));
    return out;
  };
  compare(host(posterior.mean), {"mean", .143940, .479377, {{0, .594413}, {1, .793494}, {17, -.576151}, {64, .537095}, {127, .032741}}});
  compare(host(posterior.log_variance), {"log-variance", .003667, .466406, {{0, .596892}, {1, .852925}, {17, -.706342}, {64, .532966}, {127, -.088601}}});
  compare(host(weights.model().decode(ctx, posterior.mean)), {"decoded", -.045234, .393085, {{0, .028898}, {1, -.091110}, {17, -.235647}, {192, .012430}, {383, .316340}}});
}

TEST_CASE("autoencoder: a file loads under the names of diffusers, of diffusers before, and of CompVis; a wrong one is told of in its own") {
  const std::array layouts{older_vae_names(), compvis_vae_names(2)};
  const auto load = [&](const std::filesystem::path& path, Weights<Tiny, Cpu>& into) { load_weights(path, into, std::span<const NameTable>(layouts)); };
  io_test::TemporaryDirectory folder;
  const auto path = folder / "vae.safetensors";
  Cpu cpu(1);
  Weights<Tiny, Cpu> weights(cpu, 4), into(cpu);
  std::vector<float> random(std::size_t(weights.size())), found(random.size());
  weights.values().download(random);
  const auto ours = parameter_table(weights.model());
  const auto write = [&](const std::vector<ParameterInfo>& table, const std::string& without = "", const std::string& reshaped = "") {
    std::vector<io::TensorToWrite> tensors;
    for (const ParameterInfo& p : table) {
      auto shape = p.shape;
      if (p.name == reshaped) shape.push_back(1);
      if (p.name != without) tensors.push_back({p.name, io::Dtype::f32, shape, random.data() + p.offset, {}});
    }
    io::write_safetensors(path, tensors);
  };
  const std::vector<std::vector<ParameterInfo>> tables{ours, layouts[0].translated(ours), layouts[1].translated(ours)};
  for (const auto& table : tables) {
    write(table);
    into.values().upload(std::vector<float>(random.size()));
    load(path, into);
    into.values().download(found);
    CHECK(found == random);
  }
  std::vector<std::string> names;
  for (const ParameterInfo& p : tables[2]) names.push_back(p.name + " " + std::to_string(p.shape.size()));
  for (const char* name : {"encoder.down.0.block.1.norm2.weight 1", "encoder.down.0.downsample.conv.weight 4", "encoder.mid.attn_1.q.weight 4", "encoder.mid.attn_1.norm.bias 1", "encoder.mid.block_2.conv1.weight 4",
                           "decoder.up.1.upsample.conv.bias 1", "decoder.up.0.block.0.nin_shortcut.weight 4", "decoder.mid.attn_1.proj_out.weight 4", "decoder.norm_out.weight 1", "quant_conv.weight 4"}) {
    INFO(name);
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
  into.values().download(found);
  write(tables[2], "decoder.up.0.block.2.conv1.bias", "encoder.mid.attn_1.k.weight");
  check_error([&] { load(path, into); }, "checkpoint-mismatch", {"missing: decoder.up.0.block.2.conv1.bias (8)", "shape: encoder.mid.attn_1.k.weight expected (16, 16, 1, 1), found (16, 16, 1, 1, 1)"});
  write(tables[1], "encoder.mid_block.attentions.0.query.bias");
  check_error([&] { load(path, into); }, "checkpoint-mismatch", {"missing: encoder.mid_block.attentions.0.query.bias (16)"});
  auto after = found;
  into.values().download(after);
  CHECK(after == found);
}

TEST_CASE("a teacher with a class token: it comes first, and its last norm's weight and bias are read") {
  using Trunk = Transformer<32, 2, LayerNorm, GELU, Heads<2>, LayerScale<std::ratio<1>>>;
  using Teacher = VisionEncoder<EncoderInput<12, 3, 7, Interpolation::cubic_antialiased>, Trunk, LayerNorm, true>;
  using Nameless = VisionEncoder<EncoderInput<12, 3, 4>, Trunk, LayerNormNoAffine, false>;
  Cpu cpu(2);
  Weights<Teacher, Cpu> teacher(cpu, 2);
  Weights<Nameless, Cpu> nameless(cpu, 3);
  Workspace<Cpu> workspace(cpu);
  const auto tokens = [&](const auto& weights, bool all) {
    Run<Cpu> ctx(workspace, weights.values());
    const auto images = ops::input_from<Shape<dynamic, 3, 12, 12>>(ctx, 2, [](float* out) {
      for (int n = 0; n < 2 * 3 * 144; ++n) out[n] = float(std::sin(0.13 * n + 0.7));
    });
    std::vector<float> out(2 * (all ? 17 : 16) * 32);
    if (all) ops::output(ctx, weights.model().with_class_token(ctx, images), std::span(out));
    else ops::output(ctx, weights.model()(ctx, images), std::span(out));
    return out;
  };
  const auto same_patches = [](const std::vector<float>& all, const std::vector<float>& patches) {
    for (std::size_t b = 0; b < 2; ++b) CHECK(std::equal(patches.begin() + std::ptrdiff_t(b * 16 * 32), patches.begin() + std::ptrdiff_t((b + 1) * 16 * 32), all.begin() + std::ptrdiff_t((b * 17 + 1) * 32)));
  };
  same_patches(tokens(teacher, true), tokens(teacher, false));
  const auto all = tokens(nameless, true), patches = tokens(nameless, false);
  same_patches(all, patches);
  std::vector<double> pooled(32);  // of the first image
  double mean = 0, square = 0;
  for (std::size_t i = 0; i < 16 * 32; ++i) pooled[i % 32] += patches[i] / 16.0;
  for (const double v : pooled) mean += v / 32;
  for (const double v : pooled) square += (v - mean) * (v - mean) / 32;
  for (std::size_t c = 0; c < 32; ++c) CHECK(all[c] == doctest::Approx((pooled[c] - mean) / std::sqrt(square + 1e-6)).epsilon(1e-5).scale(1));

  // As the authors' file and as Hugging Face's name it.
  io_test::TemporaryDirectory folder;
  const auto path = folder / "teacher.safetensors";
  std::vector<float> random(std::size_t(teacher.size())), found(random.size());
  for (std::size_t i = 0; i < random.size(); ++i) random[i] = float(Random{9, Stream::user, 0}.normal(i));
  const std::array layouts{dinov2_names(), dinov2_release_names()};
  const auto ours = parameter_table(teacher.model());
  const std::vector<std::pair<std::vector<ParameterInfo>, const char*>> files{{ours, "mask_token"}, {layouts[0].translated(ours), "embeddings.mask_token"}};
  for (const auto& [table, mask] : files) {
    std::vector<io::TensorToWrite> tensors{{mask, io::Dtype::f32, {1, 32}, random.data(), {}}};
    bool normed = false;
    for (const ParameterInfo& p : table) {
      tensors.push_back({p.name, io::Dtype::f32, p.shape, random.data() + p.offset, {}});
      normed = normed || p.name == "norm.weight" || p.name == "layernorm.weight";
    }
    CHECK(normed);
    io::write_safetensors(path, tensors);
    Weights<Teacher, Cpu> into(cpu);
    load_weights(path, into, std::span<const NameTable>(layouts));
    into.values().download(found);
    for (const ParameterInfo& p : ours) CHECK(std::equal(random.begin() + p.offset, random.begin() + p.offset + p.size, found.begin() + p.offset));
  }
}
