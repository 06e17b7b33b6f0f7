// The systems that this program knows by name: a DSD and the frozen networks that it is trained with.
#pragma once

#include "../common/fashion_classifier.hpp"
#include "../common/fashion_encoder.hpp"
#include "../common/named.hpp"

#include <sfumato/models/discriminator.hpp>
#include <sfumato/models/dsd.hpp>
#include <sfumato/models/lpips.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/official_names.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace example {

/// 28 x 28 grey images in patches of 7: 16 tokens of 16 values, a third of the pixels' number.
using FashionDSD = sfumato::DSD<sfumato::ImagePatches<28, 1, 7, 10>, sfumato::Transformer<192, 6, sfumato::LayerNorm, sfumato::GELU, sfumato::Heads<6>>, 16,
                                sfumato::Alignment<3, FashionEncoder::width, 256>, sfumato::SelfAlignment<2, 5, 256>>;

struct Fashion {
  using Model = FashionDSD;
  using Teacher = FashionEncoder;
  using Perceptual = FashionClassifier;
  using Discriminator = sfumato::Discriminator<FashionEncoder, 5, 2, 5>;
  template <class B, class E> using Distance = sfumato::FeatureDistance<Perceptual, B, E, 0, 1, 2, 3>;
  static constexpr int side = 28, channels = 1;
  static constexpr bool official = false;
};
/// LPIPS and RAE's discriminator; DINOv2, since the paper's DINOv3 has other positions.
template <class ModelType> struct ImageNet {
  using Model = ModelType;
  using Teacher = sfumato::DINOv2_B<>;
  using Perceptual = sfumato::LPIPS<>;
  using Discriminator = sfumato::RAEDiscriminator;
  template <class B, class E> using Distance = sfumato::PerceptualDistance<Perceptual, B, E>;
  static constexpr int side = 256, channels = 3;
  static constexpr bool official = true;
};

/// Calls `visit.template operator()<System>(name)` for every known system.
inline constexpr auto for_each_system = [](auto&& visit) {
  using namespace sfumato;
  visit.template operator()<Fashion>("fashion");
  visit.template operator()<ImageNet<DSD_42M<Alignment<3, 768>, SelfAlignment<3, 8>>>>("DSD-42M");
  visit.template operator()<ImageNet<DSD_118M<Alignment<4, 768>, SelfAlignment<4, 10>>>>("DSD-118M");
  visit.template operator()<ImageNet<DSD_B<Alignment<4, 768>, SelfAlignment<4, 10>>>>("DSD-B");
};
/// Calls `body.template operator()<System>()` for the one called `name`. Throws Error("model") with the known names.
template <class Body> void with_system(const std::string& name, Body&& body) { with_named(for_each_system, "system", name, body); }

inline sfumato::NameTable official_names(const sfumato::DINOv2_B<>&) { return sfumato::dinov2_names(); }
inline sfumato::NameTable official_names(const sfumato::LPIPS<>&) { return sfumato::lpips_names(); }
inline sfumato::NameTable official_names(const sfumato::DINO_S8&) { return sfumato::dino_names(); }
/// A frozen network's weights, from a file of ours or an official one.
template <class Model, class B, class E> void load_frozen(const std::string& path, sfumato::Weights<Model, B, E>& weights) {
  if constexpr (requires { official_names(weights.model()); }) sfumato::load_weights(path, weights, official_names(weights.model()));
  else sfumato::load_weights(path, weights);
}

inline void add_model_option(CLI::App& command, std::string& model) {
  command.add_option("--model", model, "fashion, DSD-42M, DSD-118M or DSD-B")->capture_default_str();
}
inline void add_weights_option(CLI::App& command, std::string& weights) { command.add_option("--weights", weights, "safetensors of dsd train")->required(); }

}  // namespace example
