// What the decoder of a representation autoencoder is trained on: Zheng et al., arXiv 2510.11690 (RAE), section 3 and appendix C.
#pragma once

#include <sfumato/models/rae.hpp>
#include <sfumato/ops/activation.hpp>
#include <sfumato/ops/loss.hpp>
#include <sfumato/train/adversarial_sum.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/latent_objective.hpp>

#include <algorithm>
#include <cmath>

SFUMATO_BEGIN

/// How strong the noise on a latent is: tau u, u ~ U(0, 1), as RAE's code has it, or |n|, n ~ N(0, tau^2), as its text.
enum class NoiseLaw { uniform, half_normal };

/// What a decoder, as it stands, makes of the latents of images in [-1, 1], without noise: in [-1, 1]. No gradient flows.
template <class Encoder, class Decoder, Backend B, Element E> struct DecodedLatents {
  const Weights<Encoder, B, E>* encoder = nullptr;
  const Decoder* decoder = nullptr;
  const Array<B, E>* weights = nullptr;  ///< the decoder's

  template <class Ctx, AnyValue X> auto operator()(Ctx& ctx, const X& images) const {
    auto painted = ctx.frozen(*weights);
    return decoder->template decode<Range::signed_unit>(painted, frozen_latents(ctx, *encoder, images));
  }
};

/// The reconstruction of images from the latents of a frozen encoder, to which noise is added so that the decoder forgives what
/// diffusion gets wrong: L1 + perceptual distance, and from some step on an adversary's opinion, weighed by how strongly each moves the decoder's
/// last layer: in each micro-batch by its own. `Distance` is called (ctx, images, real images), `Adversary`, unless it is None, (ctx, images); both give scalars.
template <class Encoder, Backend B, Element E, class Distance, class Adversary = None> struct DecoderObjective {
  const Weights<Encoder, B, E>* encoder = nullptr;  ///< outlives the objective
  Distance distance = {};
  Adversary adversary = {};
  double tau = 0.8;                ///< the strength of the noise on latents; 0: none
  NoiseLaw law = NoiseLaw::uniform;
  double perceptual_weight = 1;    ///< of `distance` beside L1
  AdversarialWeight adversarial = {};

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective", "decoder");
    visit("objective.encoder", detail::fingerprint(*encoder));
    distance.for_each_option(visit);
    visit("objective.tau", tau);
    visit("objective.noise", law == NoiseLaw::uniform ? "uniform" : "half-normal");
    visit("objective.perceptual_weight", perceptual_weight);
    if constexpr (!is_none<Adversary>) adversarial.for_each_option(visit);
  }
  /// Throws Error("objective-options") for values that mean nothing, and where a network is missing.
  void validate() const {
    check(encoder != nullptr, "objective-options", "a decoder's objective needs the encoder whose latents it reads, found none");
    if constexpr (requires { distance.validate(); }) distance.validate();
    for (const auto& [value, what] : {std::pair{tau, "tau"}, {perceptual_weight, "perceptual_weight"}})
      check(std::isfinite(value) && value >= 0, "objective-options", what, " must be finite and not negative, found ", value);
    adversarial.validate();
  }

  /// samples: images in [-1, 1], (batch, channels, side, side); labels are not looked at. A wide scalar. Its L1 part is in units of [0, 1].
  template <class Ctx, class Decoder, AnyValue X> auto loss(Ctx& ctx, const Decoder& decoder, const X& samples, std::span<const int>) const {
    const auto images = ops::stop_gradient(ctx, samples);
    require<rule::SameLatents<Decoder, Encoder::tokens, Encoder::token_dim, Decoder::tokens, Decoder::token_dim>, rule::SameColours<Decoder, typename Encoder::Colours, typename Decoder::Colours>>();
    validate();
    const auto seen = decoder.features(ctx, noised(ctx, frozen_latents(ctx, *encoder, images)));
    const auto made = Decoder::template denormalise<Range::signed_unit>(ctx, decoder.pixels(ctx, seen));
    const auto reconstruction = [&](Ctx& c, const auto& x) {
      if (perceptual_weight == 0) return ops::scale(c, 0.5, l1_distance(c, x, images));
      return ops::combine(c, 0.5, l1_distance(c, x, images), perceptual_weight, distance(c, x, images));
    };
    if constexpr (is_none<Adversary>) {
      return reconstruction(ctx, made);
    } else {
      return adversarial_sum(ctx, made, adversarial, reconstruction, [&](Ctx& c, const auto& x) { return adversary(c, x); },
                             [&](const auto& d_made) { return Decoder::template last_gradient<Range::signed_unit>(ctx, d_made, ops::stop_gradient(ctx, seen)); });
    }
  }

  /// What an adversary sees beside real images.
  template <class Decoder> DecodedLatents<Encoder, Decoder, B, E> maker(const Decoder& decoder) const { return {encoder, &decoder}; }

  /// z + sigma n, one sigma for each sample. z: (batch, tokens, token_dim); the same.
  template <class Ctx, AnyValue Z> Z noised(Ctx& ctx, const Z& z) const {
    if (tau == 0) return z;
    const auto n = std::size_t(z.batch);
    const auto one = ctx.workspace().template host<double>(n), sigma = ctx.workspace().template host<double>(n);
    const Random strength{ctx.random.seed, Stream::time, ctx.random.step};
    for (std::size_t b = 0; b < n; ++b) {
      const auto sample = static_cast<std::uint64_t>(ctx.random.first_sample) + b;
      one[b] = 1;
      sigma[b] = tau * (law == NoiseLaw::uniform ? strength.uniform(sample) : std::abs(strength.normal(sample)));
    }
    const auto noise = ops::normal<typename Z::shape>(ctx, z.batch, Random{ctx.random.seed, Stream::noise, ctx.random.step}, ctx.random.first_sample);
    return ops::combine_samples(ctx, {one.data(), n}, z, {sigma.data(), n}, noise);
  }
};

SFUMATO_END
