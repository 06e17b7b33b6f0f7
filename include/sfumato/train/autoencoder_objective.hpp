// The objective of variational autoencoders: Rombach et al., arXiv 2112.10752, section 3.1, without its adversary.
#pragma once

#include <sfumato/models/autoencoder_kl.hpp>
#include <sfumato/train/feature_distance.hpp>

#include <cmath>

SFUMATO_BEGIN

/// L1 + perceptual distance + Kullback-Leibler divergence from N(0, 1) of an AutoencoderKL, whose latents are drawn anew at every step.
/// `Distance` is called (ctx, images, real images) and gives a scalar.
template <class Distance> struct AutoencoderObjective {
  Distance distance = {};
  double perceptual_weight = 0.5;  ///< of `distance` beside L1, which is in units of [0, 1]; the paper's 1 is beside that of [-1, 1]
  double divergence_weight = 5e-7;  ///< of the divergence, summed over a sample's latents, beside the error summed over its pixels; likewise

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective", "autoencoder");
    distance.for_each_option(visit);
    visit("objective.perceptual_weight", perceptual_weight);
    visit("objective.divergence_weight", divergence_weight);
  }
  /// Throws Error("objective-options") for values that mean nothing.
  void validate() const {
    if constexpr (requires { distance.validate(); }) distance.validate();
    for (const auto& [value, what] : {std::pair{perceptual_weight, "perceptual_weight"}, {divergence_weight, "divergence_weight"}})
      check(std::isfinite(value) && value >= 0, "objective-options", what, " must be finite and not negative, found ", value);
  }
  /// images: in [-1, 1], (batch, channels, side, side); labels are not looked at. A wide scalar.
  template <class Ctx, class Model, AnyValue X> auto loss(Ctx& ctx, const Model& model, const X& images, std::span<const int>) const {
    validate();
    const auto posterior = model.encode(ctx, images);
    const auto noise = ops::normal<typename Model::LatentShape>(ctx, images.batch, Random{ctx.random.seed, Stream::posterior, ctx.random.step}, ctx.random.first_sample, 1);
    const auto made = model.decode(ctx, ops::add(ctx, posterior.mean, ops::multiply(ctx, posterior.deviation(ctx), noise)));
    constexpr double latents_by_pixels = double(Model::LatentShape::row) / double(Model::ImageShape::row);
    const auto error = ops::combine(ctx, 0.5, l1_distance(ctx, made, images), divergence_weight * latents_by_pixels, posterior.divergence(ctx));
    if (perceptual_weight == 0) return error;
    return ops::combine(ctx, 1, error, perceptual_weight, distance(ctx, made, images));
  }
};

SFUMATO_END
