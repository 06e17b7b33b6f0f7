// Files in the official names of every model: one of random values loads, and one that does not fit is told of in its own names. (What of ours
// each official tensor is: encoder.cpp, decoder.cpp, dit.cpp.)
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/models/vit_decoder.hpp>
#include <sfumato/train/official_names.hpp>

#include "check_error.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;

namespace {

template <class Act, class... More> using Trunk = Transformer<32, 2, LayerNorm, Act, Heads<2>, More...>;
using TinyDINO = VisionEncoder<EncoderInput<12, 3, 7, Interpolation::cubic_antialiased>, Trunk<GELU, LayerScale<std::ratio<1>>>, LayerNormNoAffine, true, 4>;
using TinySigLIP = VisionEncoder<EncoderInput<12, 3, 4, Interpolation::cubic, HalfColours>, Trunk<GELUTanh>, LayerNormNoAffine, false>;
using TinyMAE = VisionEncoder<EncoderInput<12, 3, 3>, Trunk<GELU>, LayerNormNoAffine, true>;
using TinyDecoder = ViTDecoder<LatentTokens<3, 12, 1>, DecoderTrunk<36, 2, 2>, 4>;
using TinyDiT = DiT<LatentTokens<4, 12, 5>, DiTTrunk<32, 2, 2>>;
using TinyDiTDH = DiTDH<LatentTokens<4, 12, 5>, DiTTrunk<32, 2, 2>, DDT<48, 2, 2>>;

/// What is wrong with a file: a tensor that is missing, and one of another shape, by their official names.
struct Faults {
  std::string missing, reshaped;
};

template <class Model> struct File {
  const NameTable names;
  io_test::TemporaryDirectory folder;
  Cpu device{1};
  Weights<Model, Cpu> weights{device, 3};
  std::vector<float> random = std::vector<float>(static_cast<std::size_t>(weights.size()));
  std::filesystem::path path = folder / "w.safetensors";

  explicit File(const NameTable& table) : names(table) {
    for (std::size_t i = 0; i < random.size(); ++i) random[i] = static_cast<float>(Random{9, Stream::user, 0}.normal(i));
  }
  std::vector<float> elements() const {
    std::vector<float> out(random.size());
    weights.values().download(out);
    return out;
  }
  /// With what `names` ignores; `faults` has a stray tensor too.
  void write(const Faults* faults = nullptr) const {
    std::vector<io::TensorToWrite> tensors;
    for (const ParameterInfo& p : names.translated(parameter_table(weights.model()))) {
      if (faults && p.name == faults->missing) continue;
      auto shape = p.shape;
      if (faults && p.name == faults->reshaped) shape.insert(shape.begin(), 1);
      tensors.push_back({p.name, io::Dtype::f32, shape, random.data() + p.offset, {}});
    }
    for (const std::string& begin : names.ignored) tensors.push_back({begin + "of_no_use", io::Dtype::f32, {2}, random.data(), {}});
    if (faults) tensors.push_back({"stray.weight", io::Dtype::f32, {3}, random.data(), {}});
    io::write_safetensors(path, tensors, {});
  }
};

/// `shape` is that of the tensor of another shape, without its brackets.
template <class Model> void verify(const NameTable& names, const Faults& faults, const std::string& missing_shape, const std::string& shape) {
  File<Model> file(names);
  const auto before = file.elements();
  file.write(&faults);
  check_error([&] { load_weights(file.path, file.weights, names); }, "checkpoint-mismatch",
              {file.path.string(), text("missing: ", faults.missing, " (", missing_shape, ")"),
               text("shape: ", faults.reshaped, " expected (", shape, "), found (1, ", shape, ")"), "extra: stray.weight (3)"});
  CHECK(file.elements() == before);
  try {  // and of nothing else
    load_weights(file.path, file.weights, names);
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(std::count(message.begin(), message.end(), '\n') == 3);
  }

  file.write();
  load_weights(file.path, file.weights, names);
  const auto after = file.elements();
  for (const ParameterInfo& p : parameter_table(file.weights.model())) {
    INFO(p.name);
    CHECK(std::equal(after.begin() + p.offset, after.begin() + p.offset + p.size, file.random.begin() + p.offset));
  }
  // Ours, bare and as a part of a training checkpoint, by the same call.
  const auto elements = file.elements();
  for (const std::string part : {"", "model_ema1"}) {
    save_buffers<Cpu, float>(file.path, parameter_table(file.weights.model()), {{part, &file.weights.values()}}, {});
    file.weights.values().upload(std::vector<float>(elements.size()));
    load_weights(file.path, file.weights, names);
    CHECK(file.elements() == elements);
  }
  file.write();
  if (!names.rules.empty()) check_error([&] { load_weights(file.path, file.weights); }, "checkpoint-mismatch", {"missing: ", "extra: "});  // not our names
}

}  // namespace

TEST_CASE("official names: a file of random values loads, and all that is wrong with one is told, for every model") {
  SUBCASE("DiT") { verify<TinyDiT>(dit_names(), {"blocks.1.attn.qkv.bias", "final_layer.linear.weight"}, "96", "12, 32"); }
  SUBCASE("DiT-DH") { verify<TinyDiTDH>(dit_names(), {"blocks.3.mlp.w12.bias", "s_projector.weight"}, "256", "48, 32"); }
  SUBCASE("DINOv2") {
    verify<TinyDINO>(dinov2_names(), {"encoder.layer.1.attention.attention.value.bias", "encoder.layer.0.layer_scale2.lambda1"}, "32", "32");
  }
  SUBCASE("SigLIP2") {
    verify<TinySigLIP>(siglip2_names(), {"vision_model.embeddings.position_embedding.weight", "vision_model.encoder.layers.1.self_attn.k_proj.weight"}, "16, 32", "32, 32");
  }
  SUBCASE("MAE") { verify<TinyMAE>(mae_names(), {"vit.encoder.layer.1.attention.attention.key.bias", "vit.encoder.layer.0.output.dense.weight"}, "32", "32, 128"); }
  SUBCASE("RAE's decoder") { verify<TinyDecoder>(rae_decoder_names(), {"trainable_cls_token", "decoder_layers.1.attention.attention.query.weight"}, "1, 1, 36", "36, 36"); }
}

TEST_CASE("official names: tables of the rotary embedding that published DiT and DiT-DH hold are passed over") {
  for (const char* table : {"feat_rope.freqs_cos", "feat_rope.freqs_sin", "enc_feat_rope.freqs_cos", "enc_feat_rope.freqs_sin", "dec_feat_rope.freqs_cos", "dec_feat_rope.freqs_sin"}) {
    CHECK(dit_names().ignores(table));
  }
  CHECK(!dit_names().ignores("final_layer.linear.weight"));
}
