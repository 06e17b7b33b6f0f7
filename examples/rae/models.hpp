// The systems that this program knows by name: an encoder, a diffusion model in its latents, a decoder.
#pragma once

#include "../common/fashion_encoder.hpp"
#include "../common/named.hpp"

#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/schedule.hpp>
#include <sfumato/models/lpips.hpp>
#include <sfumato/models/rae.hpp>
#include <sfumato/train/checkpoint.hpp>
#include <sfumato/train/official_names.hpp>

#include <string>

namespace example {

using FashionLatents = sfumato::LatentTokens<4, 128, 10>;
/// A trunk of 96 is narrower than the token's 128: the head is what makes velocity prediction sound.
using FashionDiTDH = sfumato::DiTDH<FashionLatents, sfumato::DiTDHTrunk<96, 6, 3>, sfumato::DDT<256, 2>>;
/// A weaker one, to be led away from.
using FashionGuide = sfumato::DiTDH<FashionLatents, sfumato::DiTDHTrunk<64, 2, 2>, sfumato::DDT<128, 1>>;
using FashionDecoder = sfumato::ViTDecoder<FashionLatents, sfumato::Transformer<160, 4, sfumato::LayerNorm, sfumato::GELU, sfumato::Heads<5>, sfumato::LinearInit<sfumato::init::UniformFanIn>>, 7,
                                           sfumato::GreyColours>;

/// `Base`: of the schedule's shift (RAE: 4096).
template <class Models, int Classes, sfumato::Index Base = 4096> struct System : Models {
  static constexpr int classes = Classes, side = Models::Decoder::side, channels = Models::Decoder::channels;
  static constexpr bool official = side > 64;
  static constexpr sfumato::Index shift_base = Base;
  using Shift = sfumato::DimensionShift<typename Models::LatentShape, Base>;
  template <class Times> using ObjectiveOn = sfumato::FlowObjective<sfumato::Space::v, sfumato::Space::v, sfumato::Shifted<Times, Shift>>;
  using Objective = ObjectiveOn<sfumato::TruncatedLogitNormal<>>;
  using UniformObjective = ObjectiveOn<sfumato::UniformBetween<std::ratio<1, 1000>>>;
  using Grid = sfumato::ShiftedGrid<Shift>;
};

/// Fashion-MNIST with an encoder of our own. 784 values make an image there: as many dimensions need no shift. (With the paper's base the shift of
/// its 2048 would be below 1.)
using Fashion = System<sfumato::RAE<FashionEncoder, FashionDiTDH, FashionDecoder>, 10, 784>;
template <class Encoder, class Diffusion, class Decoder = sfumato::ViTDecoder_XL<Encoder::token_dim, 16, Encoder::grid, typename Encoder::Colours>>
using ImageNet = System<sfumato::RAE<Encoder, Diffusion, Decoder>, 1000>;

/// Calls `visit.template operator()<System>(name)` for every known system.
inline constexpr auto for_each_system = [](auto&& visit) {
  using namespace sfumato;
  visit.template operator()<Fashion>("fashion");
  visit.template operator()<ImageNet<DINOv2_B<>, DiTDH_S<>, ViTDecoder_B<>>>("DINOv2-B/DiTDH-S/ViT-B");
  visit.template operator()<ImageNet<DINOv2_B<>, DiTDH_S<>>>("DINOv2-B/DiTDH-S");
  visit.template operator()<ImageNet<DINOv2_B<>, DiTDH_XL<>>>("DINOv2-B/DiTDH-XL");
  visit.template operator()<ImageNet<DINOv2_B<>, DiT_XL<>>>("DINOv2-B/DiT-XL");
  visit.template operator()<ImageNet<DINOv2_S<>, DiT_XL<384>>>("DINOv2-S/DiT-XL");
  visit.template operator()<ImageNet<DINOv2_B<448>, DiTDH_XL<768, 32>>>("DINOv2-B-512/DiTDH-XL");
  visit.template operator()<ImageNet<SigLIP2_B, DiTDH_XL<>>>("SigLIP2-B/DiTDH-XL");
  visit.template operator()<ImageNet<MAE_B, DiTDH_XL<>>>("MAE-B/DiTDH-XL");
};
/// Calls `body.template operator()<System>()` for the one called `name`. Throws Error("model") with the known names.
template <class Body> void with_system(const std::string& name, Body&& body) { with_named(for_each_system, "system", name, body); }

/// How official files name the parameters of a model.
inline sfumato::NameTable official_names(const sfumato::MAE_B&) { return sfumato::mae_names(); }
inline sfumato::NameTable official_names(const sfumato::SigLIP2_B&) { return sfumato::siglip2_names(); }
template <int Width, int Depth, int Size>
sfumato::NameTable official_names(const sfumato::DINOv2<Width, Depth, Size>&) { return sfumato::dinov2_names(); }
template <class Input, class Trunk, int Patch, class Colours>
sfumato::NameTable official_names(const sfumato::ViTDecoder<Input, Trunk, Patch, Colours>&) { return sfumato::rae_decoder_names(); }
template <class Input, class Trunk, class Head, class... Options>
sfumato::NameTable official_names(const sfumato::DiT<Input, Trunk, Head, Options...>&) { return sfumato::dit_names(); }

inline sfumato::NameTable official_names(const sfumato::LPIPS<>&) { return sfumato::lpips_names(); }
inline sfumato::NameTable official_names(const sfumato::DINO_S8&) { return sfumato::dino_names(); }

/// A model's weights from a file of ours, plain or a training checkpoint, or from an official one.
template <class Model, class B, class E> void load_model(const std::string& path, sfumato::Weights<Model, B, E>& weights) {
  if constexpr (requires { official_names(weights.model()); }) sfumato::load_weights(path, weights, official_names(weights.model()));
  else sfumato::load_weights(path, weights);
}

/// What tells an encoder apart, and in which elements it was when that was taken.
struct KnownEncoder {
  std::string where, element, norm;
};
/// As a file of ours has it; an official one has nothing.
inline KnownEncoder encoder_of(const std::string& path) {
  const auto metadata = sfumato::io::SafetensorsFile(path).metadata();
  const auto value = [&](const char* name) { return metadata.contains(name) ? metadata.at(name) : std::string(); };
  return {path, value("element"), value("objective.encoder")};
}
/// Of one that was loaded.
template <class Encoder, class B, class E> KnownEncoder encoder_of(const sfumato::Weights<Encoder, B, E>& encoder) {
  return {"--encoder", std::string(sfumato::io::dtype_name(sfumato::detail::dtype_of<E>())), sfumato::detail::fingerprint(encoder)};
}
/// Throws Error("other-encoder") where both tell, and of different encoders in the same elements.
inline void require_one_encoder(const KnownEncoder& a, const KnownEncoder& b) {
  using sfumato::io::detail::printable;
  sfumato::check(a.norm.empty() || b.norm.empty() || a.element != b.element || a.norm == b.norm, "other-encoder", b.where, " is of an encoder of squared norm ", printable(b.norm),
                 ", expected that of ", a.where, ", ", printable(a.norm));
}

}  // namespace example
