// Trains a DSD: a Trainer whose averaged weights are the target encoder, and which keeps the latents' scale.
#pragma once

#include <sfumato/metrics/effective_rank.hpp>
#include <sfumato/train/dsd_objective.hpp>
#include <sfumato/train/trainer.hpp>

SFUMATO_BEGIN

/// What is seen of a collapse, and from where on it ends the training.
struct CollapseWatch : LatentWatch {
  double alarm = 0;               ///< an effective rank below this ends it: Error("collapse")
  metrics::RankSigns signs = {};  ///< of the latents, as diffusion learns them
  metrics::RankSigns raw_signs = {};  ///< of what the latent head gives: there a shrinking channel is seen, and latents that shrink to one point
};

/// A Trainer whose first average, of decay `ema1`, is the encoder that self-distillation's target comes from, and what is sampled from in the end. After every step what
/// a batch's latents were scaled and shifted by goes into `latent_norm`: those of the encoder that is trained into the weights', those of the target's into the first average's. (Where the design has no
/// averaged target, and for the second average, it is averaged as all else is.)
template <class Model, class ObjectiveType, Backend B, Element E = float, Optimiser O = AdamW> class DSDTrainer : public Trainer<Model, typename Model::ImageShape, ObjectiveType, B, E, O> {
  using Base = Trainer<Model, typename Model::ImageShape, ObjectiveType, B, E, O>;

 public:
  using typename Base::master;
  static constexpr double latent_momentum = 0.02;  ///< of the newest batch in `latent_norm`

  DSDTrainer(B& device, ObjectiveType trained_for, TrainOptions options, O optimise_by = {})
      : Base(device, std::move(trained_for), options, std::move(optimise_by)), statistics_(device, 4 * Model::latent_dim) {
    this->objective.statistics = &statistics_;
    this->objective.watch = &watch_;
  }
  DSDTrainer(const DSDTrainer&) = delete;
  DSDTrainer& operator=(const DSDTrainer&) = delete;

  /// As Trainer's. Throws Error("collapse") when the watched effective rank is below `watch().alarm`.
  template <TrainingData<E> Data> StepResult step(const Data& data, bool more = false) {
    this->objective.averaged = &this->working(this->ema1());
    const StepResult result = Base::step(data, more);
    follow_latents(result.step);
    if (watch_.step == result.step) {
      watch_.signs = metrics::rank_signs(metrics::rows_of(std::span<const double>(watch_.latents), Model::latent_dim));
      watch_.raw_signs = metrics::rank_signs(metrics::rows_of(std::span<const double>(watch_.raw), Model::latent_dim));
      check(watch_.signs.eigenvalues >= watch_.alarm, "collapse", "at step ", result.step, " the latents' effective rank is ", watch_.signs.eigenvalues, " of ", Model::latent_dim, ", expected ", watch_.alarm,
            " at least (before they are normed: uncentred ", watch_.raw_signs.uncentred, ", a channel's deviation ", watch_.raw_signs.smallest_deviation, " to ", watch_.raw_signs.largest_deviation, ")");
    }
    return result;
  }
  /// How often it is looked at, from where on it alarms, and what was seen last.
  CollapseWatch& watch() { return watch_; }
  /// For a log: calls visit(name, value).
  template <class Visit> void for_each_figure(Visit&& visit) const {
    const CollapseWatch& w = watch_;
    visit("effective_rank", w.signs.eigenvalues);
    visit("uncentred_rank", w.raw_signs.uncentred);
    visit("smallest_deviation", w.raw_signs.smallest_deviation);
    visit("raw_rms", w.raw_signs.rms);
    visit("reconstruction", w.reconstruction);
    visit("distillation", w.distillation);
    visit("velocity", w.velocity);
  }

 private:
  void follow_latents(Index step) {
    constexpr int dim = Model::latent_dim;
    using Row = Shape<1, dim>;
    const auto& norm = this->model().latent_norm;
    const double newest = std::max(latent_momentum, 1 / double(step));  // the first batches count alike
    const auto put = [](auto& run, Array<B, master>& into, const auto& parameter, const auto& value) { Kernels<B>::convert(run.device(), Index{dim}, run.data(value), into.data() + parameter.offset, false); };
    const auto follow = [&](Array<B, master>& of, Index part) {
      Run<B, master> run(this->workspace(), of);
      const auto taken = ops::borrow(run, View<const master, Shape<2, dim>, B>{statistics_.data() + part * 2 * dim, 1});
      const auto mean = ops::slice<0, 0, 1>(run, taken), scale = ops::slice<0, 1, 2>(run, taken);
      put(run, of, norm.scale, ops::combine(run, 1 - newest, ops::parameter<Row>(run, norm.scale, 1), newest, scale));
      put(run, of, norm.shift, ops::combine(run, 1 - newest, ops::parameter<Row>(run, norm.shift, 1), -newest, ops::multiply(run, mean, scale)));
    };
    const auto average = [&](Array<B, master>& of, double decay) {
      Run<B, master> run(this->workspace(), of), newer(this->workspace(), this->weights());
      const auto one = [&](const auto& parameter) { put(run, of, parameter, ops::combine(run, decay, ops::parameter<Row>(run, parameter, 1), 1 - decay, ops::parameter<Row>(newer, parameter, 1))); };
      one(norm.scale);
      one(norm.shift);
    };
    follow(this->weights(), 0);
    if constexpr (ObjectiveType::design::target == Target::averaged) follow(this->ema1(), 1);
    else average(this->ema1(), this->options().ema1_at(step - 1));
    average(this->ema2(), this->options().ema2);
  }

  typename ObjectiveType::Statistics statistics_;
  CollapseWatch watch_;
};

SFUMATO_END
