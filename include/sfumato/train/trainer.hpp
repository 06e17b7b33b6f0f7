// One training step, on any backend: micro-batches, gradient clipping, an optimiser and two moving averages.
#pragma once

#include <sfumato/autodiff/record.hpp>
#include <sfumato/ops/embedding.hpp>
#include <sfumato/tensor/tensor.hpp>
#include <sfumato/train/optimiser.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

SFUMATO_BEGIN

/// How the learning rate goes on after the warm-up: as it is; along half a cosine; or for `hold` steps as it is, then along a line.
enum class Schedule { constant, cosine, linear };

/// Options of a training run. The defaults are JiT's (table 9), at a batch for one machine.
struct TrainOptions {
  Index batch = 128;
  Index accumulate = 1;          ///< micro-batches per step; divides `batch`
  double learning_rate = 2e-4;
  double minimum_rate = 0;       ///< where cosine and line end
  Schedule schedule = Schedule::constant;
  Index warmup = 0;              ///< steps of linear warm-up from 0
  Index total_steps = 0;         ///< where cosine and line end
  Index hold = 0;                ///< where the line begins
  double clip = 0;               ///< largest gradient norm; 0: no clipping
  double ema1 = 0.9999, ema2 = 0.9996;
  bool ema1_rises = false;       ///< from ema1 to 1 at `total_steps`, along half a cosine (Grill et al. 2020, arXiv 2006.07733, BYOL, section 3.2)
  bool flip = false;             ///< random horizontal flips
  std::uint64_t seed = 0;

  /// Calls visit(name, value) for everything that a run's bits depend on.
  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("batch", batch);
    visit("accumulate", accumulate);
    visit("learning_rate", learning_rate);
    visit("schedule", schedule == Schedule::constant ? "constant" : schedule == Schedule::cosine ? "cosine" : "linear");
    if (schedule != Schedule::constant) {
      visit("minimum_rate", minimum_rate);
      visit("total_steps", total_steps);
    }
    if (schedule == Schedule::linear) visit("hold", hold);
    visit("warmup", warmup);
    visit("clip", clip);
    visit("ema1", ema1);
    if (ema1_rises) visit("ema1_rises", total_steps);
    visit("ema2", ema2);
    visit("flip", flip);
    visit("seed", seed);
  }
  /// Throws Error("train-options") for values that mean nothing.
  void validate() const {
    const auto require = [](bool good, const char* what, auto found) { check(good, "train-options", what, ", found ", found); };
    require(batch > 0, "batch must be positive", batch);
    require(batch <= Index{1} << 24, "batch must be at most 2^24", batch);
    require(accumulate > 0 && batch % accumulate == 0, "accumulate must divide the batch", accumulate);
    for (const auto& [value, what] : {std::pair{learning_rate, "learning_rate"}, {minimum_rate, "minimum_rate"}, {clip, "clip"}})
      check(std::isfinite(value) && value >= 0, "train-options", what, " must be finite and not negative, found ", value);
    require(warmup >= 0, "warmup must not be negative", warmup);
    require(schedule != Schedule::cosine || total_steps > 0, "the cosine schedule needs total_steps", total_steps);
    require(schedule != Schedule::linear || (hold >= 0 && total_steps > hold), "the linear schedule needs total_steps above hold and a hold that is not negative", text(total_steps, " and ", hold));
    require(ema1 >= 0 && ema1 <= 1, "ema1 must be in [0, 1]", ema1);
    require(ema2 >= 0 && ema2 <= 1, "ema2 must be in [0, 1]", ema2);
    require(!ema1_rises || total_steps > 0, "an ema1 that rises needs total_steps", total_steps);
  }
  /// Learning rate of 0-based step `step`; the first step of a warm-up has rate 0.
  double rate(Index step) const {
    const double warm = warmup > 0 ? std::min(1.0, double(step) / double(warmup)) : 1.0;
    if (schedule == Schedule::constant) return learning_rate * warm;
    if (schedule == Schedule::linear) return warm * std::lerp(learning_rate, minimum_rate, std::clamp(double(step - hold) / double(total_steps - hold), 0.0, 1.0));
    const double done = std::clamp(double(step - warmup) / double(std::max<Index>(1, total_steps - warmup)), 0.0, 1.0);
    return warm * (minimum_rate + (learning_rate - minimum_rate) * 0.5 * (1 + std::cos(3.14159265358979323846 * done)));
  }
  /// Decay of the first average in 0-based step `step`.
  double ema1_at(Index step) const {
    if (!ema1_rises) return ema1;
    return 1 - (1 - ema1) * 0.5 * (1 + std::cos(3.14159265358979323846 * std::min(1.0, double(step) / double(total_steps))));
  }
};

/// Labelled samples: `load` writes sample i, mirrored if asked, and returns its label.
template <class D, class E = float>
concept TrainingData = requires(const D& data, Index i, bool flip, E* out) {
  { data.size() } -> std::convertible_to<Index>;
  { data.load(i, flip, out) } -> std::convertible_to<int>;
};

/// What a step reports.
struct StepResult {
  Index step;              ///< 1 after the first
  double loss, gradient_norm, learning_rate;
};

/// The order in which samples are seen: a new permutation of all of them for every epoch.
class ShuffledOrder {
 public:
  ShuffledOrder(Index size, std::uint64_t seed) : seed_(seed), order_(static_cast<std::size_t>(size)) {}

  /// The sample at `position`, counted over all epochs.
  Index at(Index position) {
    const Index size = Index(order_.size());
    if (position / size != epoch_) shuffle(position / size);
    return order_[static_cast<std::size_t>(position % size)];
  }

 private:
  void shuffle(Index epoch) {
    const Random random{seed_, Stream::shuffle, static_cast<std::uint32_t>(epoch)};
    std::iota(order_.begin(), order_.end(), Index{0});
    for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i, static_cast<std::uint32_t>(i))]);
    epoch_ = epoch;
  }
  std::uint64_t seed_;
  Index epoch_ = -1;
  std::vector<Index> order_;
};

/// Trains `Model` on samples of shape `Sample` (batch, ...) by `objective.loss(ctx, model, samples, labels)`. The model computes
/// in elements `E`; weights, averages and the optimiser's state are of `compute_t<E>`: with bf16 the model sees a copy of the
/// weights, and its gradients are added up in f32. The state is flat buffers and a step number, and everything random is a function of the seed and that number, so a
/// resumed run goes on bit for bit.
template <class Model, IsShape Sample, class Objective, Backend B, Element E = float, Optimiser O = AdamW> class Trainer {
 public:
  using backend = B;
  using element = E;
  using master = compute_t<E>;  ///< of weights and optimiser

  Trainer(B& device, Objective trained_for, TrainOptions options, O optimise_by = {})
      : objective(std::move(trained_for)), optimiser(std::move(optimise_by)), options_(options), workspace_(device), tape_(workspace_),
        size_(bind(model_)), weights_(device, size_), gradients_(device, size_), ema1_(device, size_), ema2_(device, size_),
        copy_(device, mixed ? size_ : 0), copy_gradients_(device, mixed ? size_ : 0), working_(device, mixed ? size_ : 0) {
    options.validate();
    optimiser.validate();
    if constexpr (requires { objective.validate(); }) objective.validate();
    std::vector<master> host(static_cast<std::size_t>(size_), master(0));
    initialise(model_, options.seed, host.data());
    for (auto* buffer : {&weights_, &ema1_, &ema2_}) buffer->upload(host);
    for (std::size_t i = 0; i < O::state.size(); ++i) state_.emplace_back(device, size_);
    for (const ParameterInfo& p : parameter_table(model_))
      if (!p.frozen) table_.push_back(p);
    for (const ParameterInfo& p : table_) trained_.push_back(&p);
  }

  const Model& model() const { return model_; }
  const TrainOptions& options() const { return options_; }
  Index step_count() const { return step_; }
  Workspace<B>& workspace() { return workspace_; }
  /// `weights` of this layout as the model computes with them: with bf16 a copy, which lasts until the next call.
  const Array<B, E>& working(const Array<B, master>& weights) {
    if constexpr (mixed) {
      convert(weights, working_, false);
      return working_;
    } else {
      return weights;
    }
  }
  /// The context that `weights` of this layout are run in, for sampling between steps; it lasts as long as `working(weights)`.
  Run<B, E> run(const Array<B, master>& weights) { return {workspace_, working(weights)}; }

  Array<B, master>& weights() { return weights_; }
  Array<B, master>& gradients() { return gradients_; }
  Array<B, master>& ema1() { return ema1_; }
  Array<B, master>& ema2() { return ema2_; }

  /// Name and buffer of everything that a checkpoint keeps.
  template <class Visit> void for_each_buffer(Visit&& visit) {
    visit("model", weights_);
    visit("model_ema1", ema1_);
    visit("model_ema2", ema2_);
    for (std::size_t i = 0; i < state_.size(); ++i) visit((std::string("optimizer.") + O::state[i]).c_str(), state_[i]);
  }
  /// For a checkpoint that was just read: the step it stands at and, unless 0, the number of training samples it has seen
  /// and must go on with.
  void resume_at(Index step, Index samples = 0) {
    step_ = step;
    data_size_ = samples;
    order_.reset();
    drop_ahead();
  }
  /// Forgets what was loaded for a next step.
  void drop_ahead() {
    for (Ahead& batch : ahead_) batch.at = {};
  }
  /// Number of training samples; 0 before the first step.
  Index data_size() const { return data_size_; }

  /// One step on the next batch of `data`. With `more` the next step will be on the same data, whose batch a device with memory of
  /// its own is then given while it still computes on this one. Throws Error("non-finite-loss"), the parameters as they were,
  /// when the loss or its gradient is not a number.
  template <TrainingData<E> Data> StepResult step(const Data& data, bool more = false) {
    check(data.size() > 0, "dataset", "the training set is empty");
    if constexpr (requires { data.template require_shape<Sample>(); }) data.template require_shape<Sample>();
    check(data_size_ == 0 || data_size_ == data.size(), "dataset", "this run began with ", data_size_, " training samples, found ", data.size());
    if (!order_) order_ = std::make_unique<ShuffledOrder>(data_size_ = data.size(), options_.seed);
    Kernels<B>::fill(workspace_.backend(), size_, 0.0, gradients_.data());
    if constexpr (mixed) convert(weights_, copy_, false);
    const Index micro = options_.batch / options_.accumulate;
    double loss = 0;
    for (Index part = 0; part < options_.accumulate; ++part) {
      const bool last = part + 1 == options_.accumulate;
      const Place next = !last ? Place{step_, (part + 1) * micro} : more ? Place{step_ + 1, 0} : Place{};
      loss += micro_batch(data, {step_, part * micro}, micro, next);
    }
    loss /= double(options_.accumulate);
    const double norm = std::sqrt(Kernels<B>::squared_norm(workspace_.backend(), size_, static_cast<const master*>(gradients_.data())));
    check(std::isfinite(loss) && std::isfinite(norm), "non-finite-loss", "step ", step_ + 1, ": the loss is ", loss,
          " and its gradient's norm ", norm, "; the parameters are those of step ", step_);
    const double rate = options_.rate(step_);
    submit(false);  // so that the update is a list of its own
    update(rate, options_.clip > 0 && norm > options_.clip ? options_.clip / norm : 1.0);
    submit(true);
    return {++step_, loss, norm, rate};
  }

  Objective objective;
  O optimiser;

 private:
  /// A micro-batch of a step begins at sample `first` of its batch.
  struct Place {
    Index step = -1, first = 0;
    bool operator==(const Place&) const = default;
  };

  /// Writes the samples and their labels.
  template <class Data> void load(const Data& data, const Place& at, Index count, E* samples, int* labels) {
    const Random flips{options_.seed, Stream::flip, static_cast<std::uint32_t>(at.step)};
    for (Index b = 0; b < count; ++b) {
      const bool flip = options_.flip && (flips.bits(static_cast<std::uint64_t>(at.first + b)) & 1u);
      labels[b] = data.load(order_->at(at.step * options_.batch + at.first + b), flip, samples + b * Sample::row);
    }
  }
  template <class Data> double micro_batch(const Data& data, const Place& at, Index count, const Place& next) {
    auto labels = workspace_.template host<int>(static_cast<std::size_t>(count));
    const StepRandom random{options_.seed, static_cast<std::uint32_t>(at.step), at.first};
    Record<B, E> ctx = context(random);
    const auto samples = [&] {
      if constexpr (loads_ahead) {
        Ahead& batch = take_ahead(data, at, count);
        std::copy(batch.labels.begin(), batch.labels.end(), labels.begin());
        return ops::borrow(ctx, View<const E, Sample, B>{batch.samples.data(), count});
      } else {
        return ops::input_from<Sample>(ctx, count, [&](E* out) { load(data, at, count, out, labels.data()); });
      }
    }();
    double value = 0;
    try {
      const auto loss = objective.loss(ctx, model_, samples, std::span<const int>{labels.data(), labels.size()});
      ctx.backward(loss, 1.0 / double(options_.accumulate));
      if constexpr (mixed) convert(copy_gradients_, gradients_, true);
      if constexpr (loads_ahead)
        if (next.step >= 0) {
          submit(false);  // the device begins, and the host loads meanwhile
          load_ahead(ahead_[turn_], data, next, count);
        }
      ops::output(ctx, loss, std::span(&value, 1));  // last, since it waits for the device
    } catch (...) {
      tape_.clear();
      throw;
    }
    return value;
  }

  // Two batches on the device: one in use, one on its way.
  static constexpr bool loads_ahead = requires(B& b, E* to, Index n) { Kernels<B>::upload_ahead(b, to, static_cast<const E*>(to), n); };
  struct Ahead {
    Place at;
    const void* data = nullptr;
    bool settled = false;  ///< nothing that was done to the memory before is still under way
    Array<B, E> samples;
    std::vector<int> labels;
  };
  template <class Data> void load_ahead(Ahead& batch, const Data& data, const Place& at, Index count) {
    batch.at = {};  // nothing, if this throws
    batch.labels.resize(static_cast<std::size_t>(count));
    B& device = workspace_.backend();
    const Index size = count * Sample::row;
    if (batch.samples.size() < size)
      for (Ahead& each : ahead_) {
        each.samples = Array<B, E>(device, size);
        each.settled = false;
        each.at = {};
      }
    const auto host = workspace_.template host<E>(static_cast<std::size_t>(size));
    load(data, at, count, host.data(), batch.labels.data());
    if (!std::exchange(batch.settled, true)) Kernels<B>::upload(device, batch.samples.data(), static_cast<const E*>(host.data()), size);
    else Kernels<B>::upload_ahead(device, batch.samples.data(), static_cast<const E*>(host.data()), size);
    batch.at = at;
    batch.data = &data;
  }
  /// The batch whose turn it is. The other one may be filled from then on: the host has waited for the loss of what it held.
  template <class Data> Ahead& take_ahead(const Data& data, const Place& at, Index count) {
    Ahead& batch = ahead_[turn_];
    turn_ = 1 - turn_;
    if (batch.at != at || batch.data != &data) load_ahead(batch, data, at, count);
    return batch;
  }

  /// Starts what was called so far, where calls wait; `whole`: all of it or, where it cannot be started, nothing.
  void submit(bool whole) {
    if constexpr (requires(B& b) { Kernels<B>::submit(b, whole); }) Kernels<B>::submit(workspace_.backend(), whole);
  }

  static constexpr bool mixed = !std::is_same_v<E, master>;

  /// Of the next micro-batch.
  Record<B, E> context(const StepRandom& random) {
    if constexpr (mixed) {
      Kernels<B>::fill(workspace_.backend(), size_, 0.0, copy_gradients_.data());
      return {tape_, copy_, copy_gradients_, random};
    } else {
      return {tape_, weights_, gradients_, random};
    }
  }
  template <class From, class To> void convert(const Array<B, From>& from, Array<B, To>& to, bool accumulate) {
    Kernels<B>::convert(workspace_.backend(), size_, from.data(), to.data(), accumulate);
  }

  void update(double rate, double gradient_scale) {
    std::array<master*, O::state.size()> state;
    for (std::size_t i = 0; i < state.size(); ++i) state[i] = state_[i].data();
    optimiser.update(OptimiserStep<B, master>{workspace_, trained_, weights_.data(), gradients_.data(), state, ema1_.data(), ema2_.data(), options_.ema1_at(step_),
                                         options_.ema2, rate, gradient_scale, step_ + 1});
  }

  TrainOptions options_;
  Model model_;
  Workspace<B> workspace_;
  Tape<B, E> tape_;
  Index size_;
  Array<B, master> weights_, gradients_, ema1_, ema2_;
  Array<B, E> copy_, copy_gradients_, working_;  // where E is not `master`
  std::vector<Array<B, master>> state_;
  std::array<Ahead, 2> ahead_;
  std::size_t turn_ = 0;
  std::vector<ParameterInfo> table_;
  std::vector<const ParameterInfo*> trained_;
  std::unique_ptr<ShuffledOrder> order_;
  Index data_size_ = 0;
  Index step_ = 0;
};

SFUMATO_END
