// Where published checkpoints keep what our models keep elsewhere: one table for each of their layouts.
#pragma once

#include <sfumato/train/weights_file.hpp>

#include <string>
#include <utility>
#include <vector>

SFUMATO_BEGIN

/// Names of a layout. Each rule replaces a part of our name, where it first occurs, by one of theirs, or by several, whose tensors then
/// make up ours, one after the other along the first axis; the next rule finds what the last one left. `ignored` are beginnings of
/// names that no parameter of ours wants. Matrices whose names there hold one of `as_convolutions` are convolutions of one place: (out, in, 1, 1).
struct NameTable {
  std::vector<std::pair<std::string, std::vector<std::string>>> rules;
  std::vector<std::string> ignored;
  std::vector<std::string> as_convolutions = {};

  /// Their tensors of our parameter.
  std::vector<std::string> parts(const std::string& ours) const {
    std::vector<std::string> names{ours};
    for (const auto& [from, to] : rules) {
      std::vector<std::string> renamed;
      for (const std::string& name : names) {
        const auto at = name.find(from);
        if (at == std::string::npos) renamed.push_back(name);
        else for (const std::string& theirs : to) renamed.push_back(name.substr(0, at) + theirs + name.substr(at + from.size()));
      }
      names = std::move(renamed);
    }
    return names;
  }
  bool ignores(std::string_view theirs) const {
    return std::any_of(ignored.begin(), ignored.end(), [&](const std::string& begin) { return theirs.starts_with(begin); });
  }
  /// A layout by their names: a parameter that has several tensors there is several lines. Throws Error("name-table") where it cannot
  /// be shared out, or two have one name.
  std::vector<ParameterInfo> translated(const std::vector<ParameterInfo>& table) const {
    std::vector<ParameterInfo> out;
    for (const ParameterInfo& p : table) {
      const auto names = parts(p.name);
      const Index count = Index(names.size());
      check(count > 0 && (count == 1 || (!p.shape.empty() && p.shape[0] % count == 0)), "name-table", "'", p.name, "' ", detail::shape_list(p.shape), " is to be of ", count, " tensors");
      for (Index i = 0; i < count; ++i) {
        ParameterInfo part = p;
        part.name = names[std::size_t(i)];
        if (count > 1) part.shape[0] /= count;
        part.size /= count;
        part.offset += i * part.size;
        if (part.shape.size() == 2 && std::any_of(as_convolutions.begin(), as_convolutions.end(), [&](const std::string& each) { return part.name.find(each) != std::string::npos; }))
          part.shape.insert(part.shape.end(), {1, 1});
        check(std::none_of(out.begin(), out.end(), [&](const ParameterInfo& other) { return other.name == part.name; }), "name-table", "'", part.name, "' is the name of two parameters");
        out.push_back(part);
      }
    }
    return out;
  }
};

/// DiT and DiT-DH keep our names, and tables of the rotary embedding beside them: one in DiT, two in DiT-DH.
inline NameTable dit_names() { return {{}, {"feat_rope.", "enc_feat_rope.", "dec_feat_rope."}}; }
/// DINOv2 as Hugging Face's transformers keep it, with registers and without. The last norm's weight and bias are left out where the model has none,
/// as in RAE.
inline NameTable dinov2_names() {
  return {{{"patch_embed.proj.", {"embeddings.patch_embeddings.projection."}},
           {"cls_token", {"embeddings.cls_token"}},
           {"register_tokens", {"embeddings.register_tokens"}},
           {"pos_embed", {"embeddings.position_embeddings"}},
           {"blocks.", {"encoder.layer."}},
           {".attn.qkv.", {".attention.attention.query.", ".attention.attention.key.", ".attention.attention.value."}},
           {".attn.proj.", {".attention.output.dense."}},
           {".ls1.gamma", {".layer_scale1.lambda1"}},
           {".ls2.gamma", {".layer_scale2.lambda1"}},
           {"norm.weight", {"layernorm.weight"}},
           {"norm.bias", {"layernorm.bias"}}},
          {"embeddings.mask_token", "layernorm."}};
}
/// DINOv2 as its authors keep it, which is how ours is named.
inline NameTable dinov2_release_names() { return {{}, {"mask_token"}}; }
/// SigLIP2's vision tower, likewise; its pooling head and the text model are left out.
inline NameTable siglip2_names() {
  return {{{"patch_embed.proj.", {"vision_model.embeddings.patch_embedding."}},
           {"pos_embed", {"vision_model.embeddings.position_embedding.weight"}},
           {"blocks.", {"vision_model.encoder.layers."}},
           {".norm1.", {".layer_norm1."}},
           {".norm2.", {".layer_norm2."}},
           {".attn.qkv.", {".self_attn.q_proj.", ".self_attn.k_proj.", ".self_attn.v_proj."}},
           {".attn.proj.", {".self_attn.out_proj."}}},
          {"vision_model.post_layernorm.", "vision_model.head.", "text_model.", "logit_"}};
}
namespace detail {
/// Hugging Face's names inside of MAE's blocks, which stand at `blocks`.
inline std::vector<std::pair<std::string, std::vector<std::string>>> mae_blocks(const std::string& blocks) {
  return {{"blocks.", {blocks}},
          {".norm1.", {".layernorm_before."}},
          {".norm2.", {".layernorm_after."}},
          {".attn.qkv.", {".attention.attention.query.", ".attention.attention.key.", ".attention.attention.value."}},
          {".attn.proj.", {".attention.output.dense."}},
          {".mlp.fc1.", {".intermediate.dense."}},
          {".mlp.fc2.", {".output.dense."}}};
}
}  // namespace detail

/// MAE, likewise; its decoder is left out.
inline NameTable mae_names() {
  NameTable names{detail::mae_blocks("vit.encoder.layer."), {"vit.layernorm.", "decoder."}};
  names.rules.insert(names.rules.end(), {{"patch_embed.proj.", {"vit.embeddings.patch_embeddings.projection."}},
                                         {"cls_token", {"vit.embeddings.cls_token"}},
                                         {"pos_embed", {"vit.embeddings.position_embeddings"}}});
  return names;
}
/// RAE's decoder, whose blocks are named as MAE's.
inline NameTable rae_decoder_names() { return {detail::mae_blocks("decoder_layers."), {}}; }

/// AutoencoderKL as diffusers kept it before its attention's layers were renamed; ours are the names since.
inline NameTable older_vae_names() { return {{{".to_q.", {".query."}}, {".to_k.", {".key."}}, {".to_v.", {".value."}}, {".to_out.0.", {".proj_attn."}}}, {}}; }
/// AutoencoderKL of so many stages as its authors' code keeps it (CompVis), whose decoder counts its stages from pixels.
inline NameTable compvis_vae_names(int stages = 4) {
  NameTable names;
  for (int i = 0; i < stages; ++i) names.rules.push_back({text("decoder.up_blocks.", i, "."), {text("decoder.up.", stages - 1 - i, ".")}});
  names.rules.insert(names.rules.end(), {{"down_blocks.", {"down."}},
                                         {"mid_block.resnets.0.", {"mid.block_1."}},
                                         {"mid_block.resnets.1.", {"mid.block_2."}},
                                         {"mid_block.attentions.0.", {"mid.attn_1."}},
                                         {".resnets.", {".block."}},
                                         {".downsamplers.0.", {".downsample."}},
                                         {".upsamplers.0.", {".upsample."}},
                                         {".conv_shortcut.", {".nin_shortcut."}},
                                         {".conv_norm_out.", {".norm_out."}},
                                         {".group_norm.", {".norm."}},
                                         {".to_q.", {".q."}},
                                         {".to_k.", {".k."}},
                                         {".to_v.", {".v."}},
                                         {".to_out.0.", {".proj_out."}}});
  names.ignored = {"loss."};
  names.as_convolutions = {".attn_1."};
  return names;
}
/// LPIPS on VGG16 as the lpips package saves its whole module, which names the weights of channels twice.
inline NameTable lpips_names() { return {{}, {"scaling_layer.", "lins."}}; }
/// DINO's ViTs as Caron et al. and timm keep them, which is how ours are named; the rest of the module is left out.
inline NameTable dino_names() { return {{}, {"head."}}; }

/// `load_weights` of a file in one of these layouts or in ours, whichever holds most of the model, under any of `key_prefixes`. Throws
/// Error("checkpoint-mismatch") in that layout's names.
template <class Model, class B, class E> void load_weights(const std::filesystem::path& path, Weights<Model, B, E>& weights, std::span<const NameTable> layouts) {
  const io::SafetensorsFile file(path);
  auto table = parameter_table(weights.model());
  const auto held = [&](const auto& t) { return detail::count_held(file, t, find_prefix(file, t)); };
  const NameTable* layout = nullptr;
  Index most = held(table);
  const auto ours = table;
  for (const NameTable& other : layouts) {
    auto theirs = other.translated(ours);
    const Index here = held(theirs);
    if (here < most || (here == most && layout != nullptr)) continue;
    most = here;
    layout = &other;
    table = std::move(theirs);
  }
  const std::string prefix = find_prefix(file, table);
  detail::require_same_parameters(file, path.string(), table, {prefix}, [&](std::string_view name) {
    return layout != nullptr && name.starts_with(prefix) && layout->ignores(name.substr(prefix.size()));
  });
  detail::read_parameters(file, table, prefix, weights.values());
}
template <class Model, class B, class E> void load_weights(const std::filesystem::path& path, Weights<Model, B, E>& weights, const NameTable& names) {
  load_weights(path, weights, std::span(&names, 1));
}

SFUMATO_END
