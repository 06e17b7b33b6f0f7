// What DSD is trained on: Wang and Zhang, arXiv 2511.14716. Terms that can each be weighed or left out, what gradients they send where, and the designs that the
// paper shows to collapse. What it leaves open is an option here (docs/dsd.md).
#pragma once

#include <sfumato/flow/objective.hpp>
#include <sfumato/models/dsd.hpp>
#include <sfumato/train/adversarial_sum.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/online_view.hpp>

#include <cmath>
#include <vector>

SFUMATO_BEGIN

/// Where the target of self-distillation comes from: the encoder that is trained, whose gradient it sends back (`flowing`) or not (`stopped`), or an encoder of averaged
/// weights (`averaged`), to which nothing flows either.
enum class Target { flowing, stopped, averaged };

namespace rule {
struct latent_variance : waivable {};
struct rank_differentiation : waivable {};
struct detached_velocity : waivable {};

template <class Design, bool Stopped> struct LatentVariance {
  static_assert(holds<Design, Stopped>, "[latent-variance] latent variance suppression: a diffusion loss contains the variance of its target, which the encoder learns to give up: stop the gradient on the target branch");
};
template <class Design, Space Predicted> struct RankDifferentiation {
  static_assert(Predicted == Space::x, "[rank-differentiation] failure of rank differentiation: velocity and noise are of full rank, and an encoder that learns through their prediction loses its rank: predict the clean latent (Space::x)");
};
template <class Design, bool Detached> struct DetachedVelocity {
  static_assert(holds<Design, Detached>, "[detached-velocity] failure of rank differentiation: the velocity head's target is of full rank: detach the head from trunk and latents");
};
}  // namespace rule

/// How a DSD's diffusion is trained, as a type: what is predicted, from which target, and whether the velocity head is cut off from the rest. Designs that collapse do not compile
/// unless `Waive<rule::latent_variance>`, `Waive<rule::rank_differentiation>` or `Waive<rule::detached_velocity>` is among the `Waivers`.
template <Space Predicted = Space::x, Target From = Target::averaged, bool Detached = true, class... Waivers> struct SelfDistillation {
  static_assert(option::Among<option::waive>::template check<Waivers...>());
  static constexpr Space prediction = Predicted;
  static constexpr Target target = From;
  static constexpr bool detached = Detached;
  template <class RuleTag> static constexpr bool waives = option::waived<RuleTag, Waivers...>;

  static constexpr void require_sound() {
    using D = SelfDistillation;
    sfumato::require<unless_waived<D, rule::latent_variance, rule::LatentVariance<D, From != Target::flowing>>, unless_waived<D, rule::rank_differentiation, rule::RankDifferentiation<D, Predicted>>,
                     unless_waived<D, rule::detached_velocity, rule::DetachedVelocity<D, Detached>>>();
  }
};

/// The weight w(t) of the squared error of clean latents: 1, or 1 / (1 - t)^2, with which it is that of the velocity (the paper does not say).
enum class DistillationWeight { one, velocity };

/// What is looked at now and then, so that a collapse does not go unseen.
struct LatentWatch {
  Index every = 50;             ///< steps
  Index step = 0;               ///< of what follows, 1 after the first; 0: nothing was looked at yet
  std::vector<double> latents;  ///< of a batch's images as they are, by the encoder that is trained, (batch x tokens, latent_dim): each channel at variance 1
  std::vector<double> raw;      ///< what the latent head gives before that
  double reconstruction = 0, distillation = 0, velocity = 0;  ///< terms of the loss, unweighted
};

/// What a DSD, as it stands, makes of images in [-1, 1] by way of their latents. No gradient flows.
template <class Model, Backend B, Element E> struct Reconstructed {
  const Model* model = nullptr;
  const Array<B, E>* weights = nullptr;

  template <class Ctx, AnyValue X> auto operator()(Ctx& ctx, const X& images) const {
    auto frozen = ctx.frozen(*weights);
    return model->decode(frozen, model->encode(frozen, images));
  }
};

/// The sum of the terms below, each with its weight; one of weight 0 is left out. `Distance` and `Adversary`, where they are not None, are called as a DecoderObjective's. `Teacher`
/// is a frozen VisionEncoder, or None.
template <class Design, Backend B, Element E = float, TimeLaw Times = UniformBetween<std::ratio<0>, std::ratio<19, 20>>, class Distance = None, class Teacher = None, class Adversary = None> struct DSDObjective {
  static constexpr Space prediction = Design::prediction;
  using design = Design;
  using Statistics = Array<B, compute_t<E>>;

  const Array<B, E>* averaged = nullptr;  ///< the target encoder's weights; DSDTrainer fills it in, and the next two
  Statistics* statistics = nullptr;       ///< if not null: is given what batch_norm took out of the last micro-batch's latents, of the encoder that is trained and of the target's: (2, 2, latent_dim)
  LatentWatch* watch = nullptr;
  Distance distance = {};
  Adversary adversary = {};
  const Weights<std::conditional_t<is_none<Teacher>, layer::LatentNorm<1>, Teacher>, B, E>* teacher = nullptr;

  double reconstruction_weight = 1;      ///< of the mean squared error of images in [-1, 1]
  double perceptual_weight = 0;          ///< of `distance`
  AdversarialWeight adversarial = {};
  double distillation_weight = 0.1;      ///< of the prediction's mean squared error
  double velocity_weight = 1;            ///< of the velocity head's
  double class_weight = 0;               ///< of the cross-entropy of a linear classifier on the mean of the online branch's tokens
  double alignment_weight = 0;           ///< of the mean cosine of projected tokens and `Teacher`'s
  double self_alignment_weight = 0;      ///< likewise, of projected tokens and those of the averaged weights' deeper block
  DistillationWeight time_weight = DistillationWeight::one;
  double t_epsilon = default_t_epsilon;  ///< clamp of 1 - t
  double label_dropout = 0.1;
  double noise = 0;                      ///< gamma: latents are painted from (1 - s) z + s gamma n, s ~ U(0, noise_share), in training (l-DeTok)
  double noise_share = 1;
  OnlineView view = {};                  ///< of the online branch; targets are of images as they are

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective", "dsd");
    visit("objective.prediction", name_of(Design::prediction));
    visit("objective.target", Design::target == Target::flowing ? "flowing" : Design::target == Target::stopped ? "stopped" : "averaged");
    visit("objective.detached", Design::detached);
    visit("objective.times", Times::name);
    if constexpr (requires { Times{}.for_each_option(visit); }) Times{}.for_each_option(visit);
    for_each_weight([&](const char* name, double value) { visit(name, value); });
    visit("objective.time_weight", time_weight == DistillationWeight::one ? "one" : "velocity");
    visit("objective.t_epsilon", t_epsilon);
    visit("objective.label_dropout", label_dropout);
    visit("objective.noise_share", noise_share);
    view.for_each_option(visit);
    if constexpr (!is_none<Adversary>) adversarial.for_each_option(visit);
    if constexpr (!is_none<Distance>)
      if (perceptual_weight > 0) distance.for_each_option(visit);
    if constexpr (!is_none<Teacher>)
      if (alignment_weight > 0) visit("objective.teacher", detail::fingerprint(*teacher));
  }
  /// Throws Error("objective-options") for values that mean nothing, and where a network is missing.
  void validate() const {
    for_each_weight([](const char* name, double value) { check(std::isfinite(value) && value >= 0, "objective-options", name, " must be finite and not negative, found ", value); });
    check(t_epsilon > 0 && t_epsilon <= 1, "objective-options", "t_epsilon must be in (0, 1], found ", t_epsilon);
    for (const auto& [value, what] : {std::pair{label_dropout, "label_dropout"}, {noise_share, "noise_share"}})
      check(value >= 0 && value <= 1, "objective-options", what, " must be in [0, 1], found ", value);
    view.validate();
    adversarial.validate();
    if (perceptual_weight > 0) {
      check(!is_none<Distance>, "objective-options", "perceptual_weight is ", perceptual_weight, ", and no distance is given");
      if constexpr (requires { distance.validate(); }) distance.validate();
    }
    check(time_weight == DistillationWeight::one || prediction == Space::x, "objective-options", "time_weight is that of clean latents, expected Space::x to be predicted, found ", name_of(prediction));
    check(alignment_weight == 0 || (!is_none<Teacher> && teacher != nullptr), "objective-options", "alignment_weight is ", alignment_weight, ", and no teacher is given");
  }
  template <class Model> static constexpr void require_sound() {
    Design::require_sound();
    FlowObjective<Space::v>::template require_sound<Model>();  // of the velocity head
    if constexpr (!is_none<Teacher> && Model::aligned)
      require<rule::TeacherWidth<Model::Aligned::dim, Teacher::token_dim>, rule::TeacherTokens<Model, Teacher::tokens, Model::tokens>>();
  }

  /// The loss of one batch, a wide scalar. samples: images in [-1, 1], of Model::ImageShape; labels: one each, in [0, Model::classes).
  template <class Ctx, class Model, AnyValue X> auto loss(Ctx& ctx, const Model& model, const X& samples, std::span<const int> labels) const {
    require_sound<Model>();
    validate();
    check(alignment_weight == 0 || Model::aligned, "objective-options", "alignment_weight is ", alignment_weight, ", and the model has no Alignment");
    check(self_alignment_weight == 0 || Model::self_aligned, "objective-options", "self_alignment_weight is ", self_alignment_weight, ", and the model has no SelfAlignment");
    ops::check_labels(labels, Model::classes);
    check(Index(labels.size()) == samples.batch, "batch", "there are ", labels.size(), " labels for a batch of ", samples.batch);
    const auto images = ops::stop_gradient(ctx, samples);
    Sum<Ctx> sum(ctx);

    // The two branches. Of the online one z_t is made, and its gradient goes to the encoder; images are painted from the clean view's latents.
    const auto seen = tokens_of<(Model::aligned || Model::self_aligned)>(ctx, model, view.template of<Model::patch>(ctx, images));
    const auto normed = [&](const auto& raw) { return ops::batch_norm(ctx, raw, latent_epsilon); };
    auto raw = model.latent_head(ctx, seen.last);
    const auto z1 = normed(raw);
    auto clean = z1;
    if (view.changes()) {
      raw = model.latent_head(ctx, model.features(ctx, images));
      clean = normed(raw);
    }
    const auto taught = [&] {
      if constexpr (of_average) return averaged_tokens(ctx, model, images);
      else return None{};
    }();
    const auto target = [&] {
      if constexpr (of_average) {
        auto frozen = ctx.frozen(*averaged);
        return normed(model.latent_head(frozen, taught.last));
      } else {
        return clean;
      }
    }();
    const auto z2 = Design::target == Target::flowing ? target.normed : ops::stop_gradient(ctx, target.normed);
    if (statistics != nullptr) {
      keep(ctx, clean.statistics, 0);
      keep(ctx, target.statistics, 1);
    }

    add_reconstruction(ctx, model, images, clean.normed, sum);
    add_diffusion(ctx, model, labels, z1.normed, z2, sum);
    // What the online branch's tokens are to know.
    sum.add(class_weight, [&] { return ops::cross_entropy(ctx, model.class_head(ctx, ops::mean<axis::tokens>(ctx, seen.last)), labels); });
    if constexpr (!is_none<Teacher> && Model::aligned)
      sum.add(-alignment_weight, [&] { return layer::mean_cosine(ctx, model.projector(ctx, std::get<std::size_t(Model::Aligned::block - 1)>(seen.blocks)), frozen_latents(ctx, *teacher, images)); });
    if constexpr (Model::self_aligned)
      sum.add(-self_alignment_weight, [&] {
        const auto deep = [&] {
          if constexpr (of_average) return taught.deep;
          else return averaged_tokens(ctx, model, images).deep;
        }();
        return layer::mean_cosine(ctx, model.self_projector(ctx, std::get<std::size_t(Model::SelfAligned::shallow - 1)>(seen.blocks)), ops::stop_gradient(ctx, deep));
      });

    if (watching(ctx)) look(ctx, clean.normed, raw, sum);
    return sum.total;
  }
  /// What an adversary sees beside real images.
  template <class Model> Reconstructed<Model, B, E> maker(const Model& model) const { return {&model}; }

  /// (1 - s) z + s gamma n, one s for each sample.
  template <class Ctx, AnyValue Z> Z noised(Ctx& ctx, const Z& z) const {
    if (noise == 0 || noise_share == 0) return z;
    const auto n = std::size_t(z.batch);
    const auto kept = ctx.workspace().template host<double>(n), strength = ctx.workspace().template host<double>(n);
    for (std::size_t b = 0; b < n; ++b) {
      const double s = noise_share * detail::stream(ctx, Stream::posterior).uniform((std::uint64_t{1} << 40) + static_cast<std::uint64_t>(ctx.random.first_sample) + b);
      kept[b] = 1 - s;
      strength[b] = s * noise;
    }
    const auto of = ops::normal<typename Z::shape>(ctx, z.batch, detail::stream(ctx, Stream::posterior), ctx.random.first_sample);
    return ops::combine_samples(ctx, {kept.data(), n}, z, {strength.data(), n}, of);
  }

 private:
  static constexpr double latent_epsilon = 1e-5;
  static constexpr bool of_average = Design::target == Target::averaged;
  template <class Ctx> using Scalar = Value<Ctx, Shape<>, typename Ctx::wide>;

  /// At a step that `every` divides, and at the first of a run that is resumed.
  template <class Ctx> bool watching(const Ctx& ctx) const {
    return watch != nullptr && watch->every > 0 && (watch->step == 0 || Index(ctx.random.step) % watch->every == 0) && ctx.random.first_sample == 0;
  }

  /// The loss so far, and those of its terms that are watched.
  template <class Ctx> struct Sum {
    Ctx& ctx;
    Scalar<Ctx> total;
    std::vector<std::pair<double LatentWatch::*, Scalar<Ctx>>> watched = {};

    explicit Sum(Ctx& c) : ctx(c), total(c.template make<Shape<>, typename Ctx::wide>(1)) { ops::kernels<Ctx>::fill(c.device(), Index{1}, 0.0, c.mutable_data(total)); }
    template <class Term> void add(double weight, Term&& term, double LatentWatch::*watched_as = nullptr) {
      if (weight == 0) return;
      const Scalar<Ctx> value = term();
      if (watched_as != nullptr) watch(watched_as, ops::stop_gradient(ctx, value));
      total = ops::combine(ctx, 1, total, weight, value);
    }
    void watch(double LatentWatch::*as, const Scalar<Ctx>& value) { watched.emplace_back(as, value); }
  };

  /// The error of images that are painted from `latents`, by every measure, and what the adversary says.
  template <class Ctx, class Model, AnyValue X, AnyValue Z> void add_reconstruction(Ctx& ctx, const Model& model, const X& images, const Z& latents, Sum<Ctx>& sum) const {
    if (reconstruction_weight == 0 && perceptual_weight == 0 && (is_none<Adversary> || adversarial.weight == 0)) return;
    const auto seen_by_head = model.painted(ctx, noised(ctx, latents));
    const auto made = model.pixels(ctx, seen_by_head);
    const auto faithful = [&](Ctx& c, const auto& x) {
      Scalar<Ctx> loss = ops::mse(c, x, images);
      if (reconstruction_weight != 1) loss = ops::scale(c, reconstruction_weight, loss);
      if constexpr (!is_none<Distance>)
        if (perceptual_weight > 0) loss = ops::combine(c, 1, loss, perceptual_weight, distance(c, x, images));
      return loss;
    };
    if (watching(ctx)) sum.watch(&LatentWatch::reconstruction, ops::mse(ctx, ops::stop_gradient(ctx, made), images));
    sum.add(1, [&]() -> Scalar<Ctx> {
      if constexpr (is_none<Adversary>) return faithful(ctx, made);
      else
        return adversarial_sum(ctx, made, adversarial, faithful, [&](Ctx& c, const auto& x) { return adversary(c, x); },
                               [&](const auto& d_made) { return Model::last_gradient(ctx, d_made, ops::stop_gradient(ctx, seen_by_head)); });
    });
  }
  /// The errors of what is predicted from noised latents of the online branch, z1, for the target's, z2: by the diffusion head and by the velocity head beside it.
  template <class Ctx, class Model, AnyValue Z> void add_diffusion(Ctx& ctx, const Model& model, std::span<const int> labels, const Z& z1, const Z& z2, Sum<Ctx>& sum) const {
    if (distillation_weight == 0 && velocity_weight == 0) return;
    const auto n = labels.size();
    const auto times = detail::drawn_times<Times>(ctx, n);
    const auto shown = detail::dropped_labels(ctx, labels, Model::classes, label_dropout);
    const auto rest = ctx.workspace().template host<double>(n), weight = ctx.workspace().template host<double>(n);
    for (std::size_t b = 0; b < n; ++b) {
      rest[b] = 1 - times[b];
      weight[b] = prediction == Space::x && time_weight == DistillationWeight::velocity ? loss_weight(Space::x, Space::v, times[b], t_epsilon) : 1;
    }
    const std::span<const double> t{times.data(), n};
    const auto e = ops::normal<typename Model::LatentShape>(ctx, z1.batch, detail::stream(ctx, Stream::noise), ctx.random.first_sample);
    const auto z = ops::combine_samples(ctx, t, z1, {rest.data(), n}, e);
    const auto denoised = model.denoised(ctx, z, t, {shown.data(), n});
    sum.add(distillation_weight, [&] {
      const auto wanted = [&] {
        if constexpr (prediction == Space::x) return z2;
        else if constexpr (prediction == Space::eps) return e;
        else return ops::subtract(ctx, z2, e);
      }();
      return ops::weighted_mse(ctx, model.diffusion_head(ctx, denoised.seen, ops::silu(ctx, denoised.condition)), wanted, {weight.data(), n});
    }, &LatentWatch::distillation);
    sum.add(velocity_weight, [&] { return ops::mse(ctx, model.template velocity_of<Design::detached>(ctx, z, denoised), ops::subtract(ctx, ops::stop_gradient(ctx, z2), e)); },
            &LatentWatch::velocity);
  }

  template <class Last, class Blocks> struct Tokens {
    Last last;      ///< the trunk's, normed
    Blocks blocks;  ///< each block's
  };
  /// What the trunk makes of images; each block too, or None.
  template <bool EachBlock, class Ctx, class Model, AnyValue X> static auto tokens_of(Ctx& ctx, const Model& model, const X& images) {
    if constexpr (EachBlock) {
      auto blocks = model.every_block(ctx, images);
      auto last = model.norm(ctx, std::get<std::size_t(Model::depth - 1)>(blocks));
      return Tokens<decltype(last), decltype(blocks)>{last, blocks};
    } else {
      auto last = model.features(ctx, images);
      return Tokens<decltype(last), None>{last, {}};
    }
  }
  template <class Last, class Deep> struct Taught {
    Last last;
    Deep deep;  ///< of the block that self-alignment is with, or None
  };
  /// Likewise, by the averaged weights. The other blocks' tokens are not kept.
  template <class Ctx, class Model, AnyValue X> auto averaged_tokens(Ctx& ctx, const Model& model, const X& images) const {
    check(averaged != nullptr, "objective-options", "a target, or self-alignment, of averaged weights needs them, found none");
    auto frozen = ctx.frozen(*averaged);
    const auto seen = tokens_of<Model::self_aligned>(frozen, model, images);
    const auto deep = [&] {
      if constexpr (Model::self_aligned) return std::get<std::size_t(Model::SelfAligned::deep - 1)>(seen.blocks);
      else return None{};
    }();
    return Taught<std::remove_const_t<decltype(seen.last)>, std::remove_const_t<decltype(deep)>>{seen.last, deep};
  }
  template <class Ctx, AnyValue S> void keep(Ctx& ctx, const S& taken_out, Index part) const {
    Kernels<B>::convert(ctx.device(), taken_out.size(), ctx.data(taken_out), statistics->data() + part * taken_out.size(), false);
  }
  template <class Ctx, AnyValue Z> void look(Ctx& ctx, const Z& latents, const Z& raw, const Sum<Ctx>& sum) const {
    watch->step = Index(ctx.random.step) + 1;
    for (const auto& [values, into] : {std::pair{&latents, &watch->latents}, {&raw, &watch->raw}}) {
      into->resize(std::size_t(values->size()));
      ops::output(ctx, *values, std::span(*into));
    }
    for (const auto& [term, value] : sum.watched) ops::output(ctx, value, std::span(&(watch->*term), 1));
  }
  template <class Visit> void for_each_weight(Visit&& visit) const {
    visit("objective.reconstruction_weight", reconstruction_weight);
    visit("objective.perceptual_weight", perceptual_weight);
    visit("objective.distillation_weight", distillation_weight);
    visit("objective.velocity_weight", velocity_weight);
    visit("objective.class_weight", class_weight);
    visit("objective.alignment_weight", alignment_weight);
    visit("objective.self_alignment_weight", self_alignment_weight);
    visit("objective.noise", noise);
  }
};

SFUMATO_END
