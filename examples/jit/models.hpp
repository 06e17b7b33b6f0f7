// The models that this program knows by name.
#pragma once

#include "../common/named.hpp"

#include <sfumato/models/jit.hpp>

#include <string>

namespace example {

/// Fashion-MNIST, 28 x 28 grey, in patches of 7: 16 tokens of 49 values.
using FashionJiT = sfumato::JiT<sfumato::ImagePatches<28, 1, 7, 10>,
                                sfumato::Transformer<192, 6, sfumato::RMSNorm, sfumato::SwiGLU, sfumato::Heads<6>, sfumato::QKNorm, sfumato::Rotary,
                                                     sfumato::AdaLNZero, sfumato::Context<4, 2>, sfumato::WideResidual>,
                                sfumato::Head<sfumato::Linear>, sfumato::Bottleneck<32>>;
/// 64 x 64 colour images from a folder, in patches of 8, up to 100 classes.
using Folder64JiT = sfumato::JiT<sfumato::ImagePatches<64, 3, 8, 100>,
                                 sfumato::Transformer<384, 8, sfumato::RMSNorm, sfumato::SwiGLU, sfumato::Heads<6>, sfumato::QKNorm, sfumato::Rotary,
                                                      sfumato::AdaLNZero, sfumato::Context<8, 2>, sfumato::WideResidual>,
                                 sfumato::Head<sfumato::Linear>, sfumato::Bottleneck<96>>;

/// Calls `visit.template operator()<Model>(name)` for every known model.
inline constexpr auto for_each_model = [](auto&& visit) {
  visit.template operator()<FashionJiT>("fashion");
  visit.template operator()<Folder64JiT>("folder-64");
  visit.template operator()<sfumato::JiT_B_16>("JiT-B/16");
  visit.template operator()<sfumato::JiT_B_32>("JiT-B/32");
  visit.template operator()<sfumato::JiT_B_64>("JiT-B/64");
  visit.template operator()<sfumato::JiT_L_16>("JiT-L/16");
  visit.template operator()<sfumato::JiT_L_32>("JiT-L/32");
  visit.template operator()<sfumato::JiT_H_16>("JiT-H/16");
  visit.template operator()<sfumato::JiT_H_32>("JiT-H/32");
  visit.template operator()<sfumato::JiT_G_16>("JiT-G/16");
  visit.template operator()<sfumato::JiT_G_32>("JiT-G/32");
};

/// Calls `body.template operator()<Model>()` for the model called `name`; throws Error("model") with the known names.
template <class Body> void with_model(const std::string& name, Body&& body) { with_named(for_each_model, "model", name, body); }

/// Side and channels of a model's images, from its type.
template <class Model> inline constexpr int image_size = sfumato::extent<typename Model::ImageShape, 2>;
template <class Model> inline constexpr int image_channels = sfumato::extent<typename Model::ImageShape, 1>;

/// Noise grows with the image beyond 256 pixels (JiT, section 4): image size / 256; small images keep 1.
template <class Model> double noise_scale() { return image_size<Model> >= 256 ? image_size<Model> / 256.0 : 1.0; }

}  // namespace example
