// An adversary of what makes images: what it is trained on, and how both take turns. Zheng et al., arXiv 2510.11690 (RAE), appendix C.
#pragma once

#include <sfumato/models/discriminator.hpp>
#include <sfumato/train/decoder_objective.hpp>
#include <sfumato/train/image_changes.hpp>
#include <sfumato/train/trainer.hpp>

SFUMATO_BEGIN

/// DiffAug (Zhao et al. 2020), which real and made images undergo alike, (batch, channels, side, side) in [-1, 1]: each moved by up to an
/// eighth of its side, zeros behind it; its brightness, saturation and contrast changed by U(-1/2, 1/2), U(0, 2) and U(1/2, 3/2). What comes
/// out is not clamped. `site` tells the uses in a step apart.
template <class Ctx, AnyValue X> X augment(Ctx& ctx, const X& images, std::uint64_t site) {
  using S = typename X::shape;
  constexpr int channels = extent<S, 1>, side = extent<S, 2>, reach = (side + 4) / 8;
  constexpr int row = static_cast<int>(S::row);
  const auto n = std::size_t(images.batch);
  const Random random{ctx.random.seed, Stream::augment, ctx.random.step};
  const auto draws = [&](std::size_t b) { return (site << 40) + 8 * (static_cast<std::uint64_t>(ctx.random.first_sample) + b); };
  auto& workspace = ctx.workspace();
  const auto one = workspace.template host<double>(n), brightness = workspace.template host<double>(n), saturation = workspace.template host<double>(n),
             grey = workspace.template host<double>(n), contrast = workspace.template host<double>(n), mean = workspace.template host<double>(n);
  for (std::size_t b = 0; b < n; ++b) {
    one[b] = 1;
    brightness[b] = random.uniform(draws(b) + 2) - 0.5;
    saturation[b] = 2 * random.uniform(draws(b) + 3);
    grey[b] = 1 - saturation[b];
    contrast[b] = 0.5 + random.uniform(draws(b) + 4);
    mean[b] = 1 - contrast[b];
  }
  const auto by = [](const auto& array) { return std::span<const double>{array.data(), array.size()}; };
  const auto moved = detail::moved(ctx, images, reach, [&](std::size_t b, std::size_t k, std::uint32_t below) { return random.below(draws(b) + k, below); });
  auto lit = detail::lit(ctx, by(one), moved, by(brightness));
  if constexpr (channels > 1) lit = ops::combine_samples(ctx, by(saturation), lit, by(grey), ops::broadcast<1, channels>(ctx, ops::mean<1>(ctx, lit)));
  const auto level = ops::mean<1>(ctx, ops::reshape<Shape<dynamic, row>>(ctx, lit));
  return ops::combine_samples(ctx, by(contrast), lit, by(mean), ops::reshape<S>(ctx, ops::broadcast<1, row>(ctx, level)));
}

/// What a discriminator, as it stands, says against images in [-1, 1]: -mean D. The `Adversary` of a DecoderObjective.
template <class Discriminator, Backend B, Element E> struct AdversarialLoss {
  const Weights<typename Discriminator::Network, B, E>* network = nullptr;
  const Discriminator* model = nullptr;
  const Array<B, E>* weights = nullptr;

  /// images: (batch, channels, side, side) in [-1, 1], of any side. A wide scalar; its gradient flows to them alone.
  template <class Ctx, AnyValue X> auto operator()(Ctx& ctx, const X& images) const {
    auto frozen = ctx.frozen(network->values()), heads = ctx.frozen(*weights);
    return ops::scale(ctx, -1, ops::mean_all(ctx, (*model)(frozen, heads, network->model(), augment(ctx, images, 0))));
  }
};

/// The hinge loss by which a discriminator tells images from what `Maker`, such as DecodedLatents, makes of them, of 8 bits.
template <class Maker, class Discriminator, Backend B, Element E> struct DiscriminatorObjective {
  Maker maker = {};  ///< called (ctx, images)
  const Weights<typename Discriminator::Network, B, E>* network = nullptr;
  Index from = 0;    ///< the maker's step, counted from 0, that this is trained from

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective", "discriminator");
    visit("objective.from", from);
    visit("objective.network", detail::fingerprint(*network));
  }
  /// images: in [-1, 1], (batch, channels, side, side); labels are not looked at. A wide scalar.
  template <class Ctx, AnyValue X> auto loss(Ctx& ctx, const Discriminator& model, const X& images, std::span<const int>) const {
    auto frozen = ctx.frozen(network->values());
    const auto made = ops::activation(ctx, maker(ctx, images), ops::EightBits{});
    const auto share = [&](const auto& of, std::uint64_t site, auto hinge) {
      return ops::mean_all(ctx, ops::activation(ctx, model(frozen, ctx, network->model(), augment(ctx, of, site)), hinge));
    };
    return ops::combine(ctx, 0.5, share(images, 1, ops::Hinge<-1>{}), 0.5, share(made, 2, ops::Hinge<1>{}));
  }
};

/// Trains what makes images, by a Trainer `Generator` whose objective has an AdversarialLoss as `adversary`, and, from some step on, that adversary, in turns: a step
/// of the generator's on one batch, then one of the discriminator's on a batch of its own. Each has its optimiser and its schedule, the discriminator's beginning
/// with its first step. Stands for the generator's Trainer to `run_training`, `save_checkpoint` and `load_checkpoint`.
template <class Generator, class Discriminator, Optimiser O = AdamW> class AdversarialTrainer {
 public:
  using backend = typename Generator::backend;
  using element = typename Generator::element;
  using master = typename Generator::master;
  using Objective = decltype(Generator::objective);
  using Model = std::remove_cvref_t<decltype(std::declval<const Generator&>().model())>;
  using DiscriminatorPart = Trainer<Discriminator, typename Model::ImageShape, DiscriminatorObjective<decltype(std::declval<const Objective&>().maker(std::declval<const Model&>())), Discriminator, backend, element>, backend, element, O>;
  using Network = Weights<typename Discriminator::Network, backend, element>;

  /// How the discriminator is trained, from the step `from` on, counted from 0.
  struct DiscriminatorOptions {
    TrainOptions train;
    O optimiser = {};
    Index from = 0;
  };

  /// `network` is the discriminator's; it and what `trained_for` points to outlive this. `trained_for.adversary` is filled in. Throws Error("train-options").
  AdversarialTrainer(backend& device, Objective trained_for, const Network& network, TrainOptions options, O optimise_by, DiscriminatorOptions other)
      : generator_(device, std::move(trained_for), options, std::move(optimise_by)),
        discriminator_(device, {.maker = generator_.objective.maker(generator_.model()), .network = &network, .from = other.from}, other.train, std::move(other.optimiser)) {
    check(other.from >= 0 && generator_.objective.adversarial.from >= other.from, "train-options", "the adversarial loss counts from step ", generator_.objective.adversarial.from,
          " on, expected one from which the discriminator is trained, which is ", other.from);
    generator_.objective.adversary = {.network = &network, .model = &discriminator_.model()};
    iterate_power(discriminator_.workspace(), discriminator_.model(), discriminator_.weights(), discriminator_.ema1(), discriminator_.ema2());
  }

  /// A step of the generator's, whose result it returns, and, once it is time, one of the discriminator's. Throws what Trainer::step does, naming whose
  /// step it was; after an error of the discriminator's the generator is a step ahead, and nothing but loading a checkpoint goes on from there.
  template <TrainingData<element> Data> StepResult step(const Data& data, bool more = false) {
    const Index from = discriminator_.objective.from, done = std::max<Index>(0, generator_.step_count() - from);
    check(discriminator_.step_count() == done, "train-options", "after ", generator_.step_count(), " steps the discriminator has done ", discriminator_.step_count(), ", expected ", done, " as it begins after ", from);
    if (generator_.step_count() >= generator_.objective.adversarial.from) generator_.objective.adversary.weights = &discriminator_.working(discriminator_.weights());
    const StepResult result = generator_.step(data, more);
    if (generator_.step_count() > from) {
      discriminator_.objective.maker.weights = &generator_.working(generator_.weights());
      iterate_power(discriminator_.workspace(), discriminator_.model(), discriminator_.weights(), discriminator_.ema1(), discriminator_.ema2());
      try {
        discriminator_loss_ = discriminator_.step(data, more).loss;
      } catch (const Error& error) {
        if (error.id() != "non-finite-loss") throw;
        throw Error(error.id(), text("the discriminator's loss or gradient at the generator's step ", generator_.step_count(), " is not finite: ", error.what()));
      }
    }
    return result;
  }
  /// The discriminator's loss in the last step; 0 before the first that was made here.
  double discriminator_loss() const { return discriminator_loss_; }

  /// For a log: calls visit(name, value).
  template <class Visit> void for_each_figure(Visit&& visit) const {
    if constexpr (requires { generator_.for_each_figure(visit); }) generator_.for_each_figure(visit);
    visit("discriminator_loss", discriminator_loss_);
  }
  /// Calls visit(prefix, trainer) for both, the generator's first.
  template <class Visit> void for_each_part(Visit&& visit) {
    visit(std::string(), generator_);
    visit(std::string("discriminator."), discriminator_);
  }

  const Model& model() const { return generator_.model(); }
  const TrainOptions& options() const { return generator_.options(); }
  Index step_count() const { return generator_.step_count(); }
  Workspace<backend>& workspace() { return generator_.workspace(); }
  Array<backend, master>& weights() { return generator_.weights(); }
  Array<backend, master>& ema1() { return generator_.ema1(); }
  Run<backend, element> run(const Array<backend, master>& weights) { return generator_.run(weights); }
  Generator& generator() { return generator_; }
  DiscriminatorPart& discriminator() { return discriminator_; }
  void drop_ahead() {
    generator_.drop_ahead();
    discriminator_.drop_ahead();
  }

 private:
  Generator generator_;
  DiscriminatorPart discriminator_;
  double discriminator_loss_ = 0;
};

/// Of the decoder of a representation autoencoder.
template <class Encoder, class Decoder, class Discriminator, class Distance, Backend B, Element E = float, Optimiser O = AdamW>
using DecoderTrainer = AdversarialTrainer<Trainer<Decoder, typename Decoder::ImageShape, DecoderObjective<Encoder, B, E, Distance, AdversarialLoss<Discriminator, B, E>>, B, E, O>, Discriminator, O>;

SFUMATO_END
