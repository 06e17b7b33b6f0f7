// Diffusion in the latents of a frozen encoder, which is part of the objective.
#pragma once

#include <sfumato/models/rae.hpp>
#include <sfumato/train/weights.hpp>

SFUMATO_BEGIN

/// What a frozen encoder makes of images in [-1, 1]: (batch, tokens, width). No gradient flows to it, nor to the images.
template <class Ctx, class Encoder, Backend B, Element E, AnyValue X> auto frozen_latents(Ctx& ctx, const Weights<Encoder, B, E>& encoder, const X& images) {
  auto frozen = ctx.frozen(encoder.values());
  const Encoder& model = encoder.model();
  return model(frozen, model.template normalise<Range::signed_unit>(frozen, ops::stop_gradient(ctx, images)));
}

/// `Inner`'s loss on what the encoder makes of images, at the scale of diffusion; no gradient flows to the encoder. `Inner` is an objective on
/// latents, such as FlowObjective.
template <class Encoder, class Inner, Backend B, Element E> struct LatentObjective {
  using Scale = LatentScale<Encoder::tokens, Encoder::token_dim>;

  const Weights<Encoder, B, E>* encoder = nullptr;  ///< both outlive the objective
  const Weights<Scale, B, E>* scale = nullptr;
  Inner inner = {};

  template <class Visit> void for_each_option(Visit&& visit) const {
    inner.for_each_option(visit);
    visit("objective.encoder", detail::fingerprint(*encoder));
    visit("objective.latents", detail::fingerprint(*scale));
  }
  /// As `Inner` does; throws Error("objective-options") without an encoder or its latents' scale.
  void validate() const {
    check(encoder != nullptr && scale != nullptr, "objective-options", "an objective in latents needs ", encoder == nullptr ? "the encoder that they are of" : "their scale", ", found none");
    if constexpr (requires { inner.validate(); }) inner.validate();
  }
  /// images: in [-1, 1], (batch, channels, side, side); labels as `Inner` takes them. A wide scalar.
  template <class Ctx, class Model, AnyValue X> auto loss(Ctx& ctx, const Model& model, const X& images, std::span<const int> labels) const {
    require<rule::SameLatents<Model, Encoder::tokens, Encoder::token_dim, Model::tokens, Model::token_dim>>();
    return inner.loss(ctx, model, latents(ctx, images), labels);
  }
  /// Images in [-1, 1] to what the diffusion model learns: (batch, tokens, token_dim).
  template <class Ctx, AnyValue X> auto latents(Ctx& ctx, const X& images) const {
    auto scaled = ctx.frozen(scale->values());
    return scale->model().normalise(scaled, frozen_latents(ctx, *encoder, images));
  }
};

SFUMATO_END
