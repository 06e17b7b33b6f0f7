// What SiT is trained on, plain, with REPA's alignment and with REG's class token: Wu et al., arXiv 2507.01467 (REG), section 3, by its code.
#pragma once

#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/path.hpp>
#include <sfumato/models/sit.hpp>
#include <sfumato/ops/movement.hpp>

#include <string>

SFUMATO_BEGIN

/// Of the latents of one VAE, and of the tokens of the one encoder `Teacher` (its `tokens` and `token_dim`), which are worked out beforehand:
/// a sample is a row of the latents' means, then their deviations, the class token, then the patches' tokens, none of them scaled. From these
/// a latent is drawn at every step; it and the class token are noised with one time and two noises.
///
/// The loss is the squared error of the latent's velocity + `class_weight` times that of the class token's, where the model has one,
/// - `alignment_weight` times the mean cosine of projected and teacher's tokens, where it is aligned: of all its tokens.
template <class Teacher, Path Way = LinearPath, TimeLaw Times = UniformTime> struct SiTObjective {
  static constexpr Space prediction = Space::v;
  static constexpr double noise_scale = 1, t_epsilon = default_t_epsilon;  // as samplers ask of objectives
  using path = Way;  ///< as solvers that know the path ask of objectives
  static constexpr int class_dim = Teacher::token_dim, teacher_values = (1 + Teacher::tokens) * Teacher::token_dim;
  template <class Model> static constexpr int latent_values = int(Model::LatentShape::row);
  /// A training sample of `Model`.
  template <class Model> using Sample = Shape<dynamic, 2 * latent_values<Model> + teacher_values>;

  double latent_scale = 0.18215;  ///< from the VAE's latents to diffusion's; Stable Diffusion's
  double class_scale = 1;         ///< from the teacher's class token to diffusion's: the larger, the more noise it takes to hide it, and the more its velocity's loss weighs
  double class_weight = 0.03;
  double alignment_weight = 0.5;
  double label_dropout = 0.1;
  std::string latents = {}, teacher = {};  ///< whatever tells the VAE and the teacher that samples are of; a checkpoint keeps it

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective", "sit");
    visit("objective.latents", latents);
    visit("objective.teacher", teacher);
    visit("objective.path", Way::name);
    visit("objective.times", Times::name);
    if constexpr (requires { Times{}.for_each_option(visit); }) Times{}.for_each_option(visit);
    visit("objective.latent_scale", latent_scale);
    if (class_scale != 1) visit("objective.class_scale", class_scale);  // so that older checkpoints go on
    visit("objective.class_weight", class_weight);
    visit("objective.alignment_weight", alignment_weight);
    visit("objective.label_dropout", label_dropout);
  }
  /// Throws Error("objective-options") for values that mean nothing.
  void validate() const {
    for (const auto& [value, what] : {std::pair{latent_scale, "latent_scale"}, {class_scale, "class_scale"}})
      check(std::isfinite(value) && value > 0, "objective-options", what, " must be finite and positive, found ", value);
    for (const auto& [value, what] : {std::pair{class_weight, "class_weight"}, {alignment_weight, "alignment_weight"}})
      check(std::isfinite(value) && value >= 0, "objective-options", what, " must be finite and not negative, found ", value);
    check(label_dropout >= 0 && label_dropout <= 1, "objective-options", "label_dropout must be in [0, 1], found ", label_dropout);
  }
  /// Compile-time soundness of `Model` under this objective.
  template <class Model> static constexpr void require_sound() {
    FlowObjective<prediction>::template require_sound<Model>();
    if constexpr (Model::entangled) require<rule::TeacherWidth<Model::class_dim, Teacher::token_dim>>();
    if constexpr (Model::aligned) require<rule::TeacherWidth<Model::Aligned::dim, Teacher::token_dim>, rule::TeacherTokens<Model, Teacher::tokens, Model::patches>>();
  }

  /// The loss of one batch, a wide scalar. samples: Sample<Model>; labels: one each, in [0, Model::classes).
  template <class Ctx, class Model, AnyValue X> auto loss(Ctx& ctx, const Model& model, const X& samples, std::span<const int> labels) const {
    require_sound<Model>();
    require<rule::SameShape<Model, typename X::shape, Sample<Model>>>();
    validate();
    ops::check_labels(labels, Model::classes);
    check(Index(labels.size()) == samples.batch, "batch", "there are ", labels.size(), " labels for a batch of ", samples.batch);
    const auto n = labels.size();
    const auto times = detail::drawn_times<Times>(ctx, n);
    const auto shown = detail::dropped_labels(ctx, labels, Model::classes, label_dropout);
    const auto x = clean<Model>(ctx, samples);
    const auto e = ops::normal<typename Model::ImageShape>(ctx, samples.batch, detail::stream(ctx, Stream::noise), ctx.random.first_sample);
    const auto mixed = [&](double PathPoint::*of_data, double PathPoint::*of_noise) {
      const auto alpha = ctx.workspace().template host<double>(n), sigma = ctx.workspace().template host<double>(n);
      for (std::size_t b = 0; b < n; ++b) alpha[b] = Way::at(times[b]).*of_data, sigma[b] = Way::at(times[b]).*of_noise;
      return ops::combine_samples(ctx, {alpha.data(), n}, x, {sigma.data(), n}, e);
    };
    const auto z = mixed(&PathPoint::data, &PathPoint::noise), target = mixed(&PathPoint::d_data, &PathPoint::d_noise);
    const std::span<const double> t{times.data(), n};
    const std::span<const int> y{shown.data(), n};
    if constexpr (Model::aligned) {
      const auto [velocity, projection] = model.with_projection(ctx, z, t, y);
      return ops::combine(ctx, 1, velocity_loss<Model>(ctx, velocity, target), -alignment_weight, layer::mean_cosine(ctx, projection, teacher_tokens<Model>(ctx, samples)));
    } else {
      return velocity_loss<Model>(ctx, model(ctx, z, t, y), target);
    }
  }

 private:
  /// What is noised: a latent drawn from the sample's Gaussian, at diffusion's scale, and the class token where the model has one.
  template <class Model, class Ctx, AnyValue X> auto clean(Ctx& ctx, const X& samples) const {
    constexpr int size = latent_values<Model>;
    const auto mean = ops::slice<1, 0, size>(ctx, samples), deviation = ops::slice<1, size, 2 * size>(ctx, samples);
    const auto noise = ops::normal<Shape<dynamic, size>>(ctx, samples.batch, detail::stream(ctx, Stream::posterior), ctx.random.first_sample);
    const auto latent = ops::combine(ctx, latent_scale, mean, latent_scale, ops::multiply(ctx, deviation, noise));
    if constexpr (Model::entangled) {
      const auto token = ops::slice<1, 2 * size, 2 * size + class_dim>(ctx, samples);
      return ops::concat<1>(ctx, latent, class_scale == 1 ? token : ops::scale(ctx, class_scale, token));
    } else {
      return ops::reshape<typename Model::ImageShape>(ctx, latent);
    }
  }
  /// The tokens that the model's are aligned with: the class token among them where the model has one.
  template <class Model, class Ctx, AnyValue X> static auto teacher_tokens(Ctx& ctx, const X& samples) {
    constexpr int first = 2 * latent_values<Model> + (Model::entangled ? 0 : class_dim);
    return ops::reshape<Shape<dynamic, Model::tokens, class_dim>>(ctx, ops::slice<1, first, X::shape::row>(ctx, samples));
  }
  template <class Model, class Ctx, AnyValue V> auto velocity_loss(Ctx& ctx, const V& velocity, const V& target) const {
    if constexpr (!Model::entangled) {
      return ops::mse(ctx, velocity, target);
    } else {
      constexpr int size = latent_values<Model>, all = int(V::shape::row);
      return ops::combine(ctx, 1, ops::mse(ctx, ops::slice<1, 0, size>(ctx, velocity), ops::slice<1, 0, size>(ctx, target)), class_weight,
                          ops::mse(ctx, ops::slice<1, size, all>(ctx, velocity), ops::slice<1, size, all>(ctx, target)));
    }
  }
};

SFUMATO_END
