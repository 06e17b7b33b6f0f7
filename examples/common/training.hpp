// What the training commands of the programs have in common: options, a plan that fits the time, the run, its plot.
#pragma once

#include "device.hpp"
#include "plot.hpp"
#include "program.hpp"
#include "progress.hpp"

#include <charconv>
#include <chrono>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

namespace example {

struct TrainingArguments : DeviceArguments {
  std::string out;
  double minutes = 0;
  bool resume = false, with_changes = false, overwrite = false, steps_given = false;
  std::vector<double> phases = {0};  ///< the shares of a run at which a step comes to do other work, ascending
  std::optional<double> measured;    ///< a trainer made now only tells what a step takes in the phase from this share on
  sfumato::TrainOptions train;
  sfumato::AdamW optimiser;
  sfumato::LoopOptions loop;
};

/// The options of every training command, with the defaults that `a` comes with.
inline void add_training_options(CLI::App& command, TrainingArguments& a) {
  using sfumato::Schedule;
  command.add_option("--out", a.out, "folder for checkpoint, log and plot")->capture_default_str();
  command.add_option("--steps", a.loop.steps, "last step; with a schedule that ends and --minutes at most, as many as the time is enough for")->capture_default_str();
  command.add_option("--minutes", a.minutes, "stop after so many minutes; 0: no limit. A new run whose schedule ends is planned to end by then")->capture_default_str();
  command.add_option("--batch", a.train.batch)->capture_default_str();
  command.add_option("--accumulate", a.train.accumulate, "micro-batches per step")->capture_default_str();
  command.add_option("--learning-rate", a.train.learning_rate)->capture_default_str();
  command.add_option("--warmup", a.train.warmup, "steps of linear warm-up")->capture_default_str();
  command.add_option("--weight-decay", a.optimiser.weight_decay)->capture_default_str();
  command.add_option("--beta1", a.optimiser.beta1)->capture_default_str();
  command.add_option("--beta2", a.optimiser.beta2)->capture_default_str();
  command.add_option("--clip", a.train.clip, "largest gradient norm; 0: no clipping")->capture_default_str();
  command.add_option("--ema1", a.train.ema1, "decay of the first moving average, the one that is used afterwards")->capture_default_str();
  command.add_option("--ema2", a.train.ema2)->capture_default_str();
  auto* shape = command.add_flag("--cosine,!--constant", [&a](std::int64_t times) { a.train.schedule = times > 0 ? Schedule::cosine : Schedule::constant; }, "cosine schedule over --steps, or a constant rate");
  command.add_option_function<sfumato::Index>("--linear-from", [&a](const sfumato::Index& step) {
    a.train.schedule = Schedule::linear;
    a.train.hold = step;
  }, "a constant rate up to this step, then a line to --minimum-rate at --steps")->excludes(shape);
  command.add_option("--minimum-rate", a.train.minimum_rate, "where cosine and line end")->capture_default_str();
  command.add_flag("--flip,!--no-flip", a.train.flip, "random horizontal flips");
  command.add_option("--seed", a.train.seed)->capture_default_str();
  add_device_options(command, a);
  command.add_option("--checkpoint-every", a.loop.checkpoint_every, "steps between saves")->capture_default_str();
  command.add_flag("--resume", a.resume, "go on from the checkpoint in --out, with the same options");
  command.add_flag("--with-changes", a.with_changes, "with --resume: the options may differ from the checkpoint's")->needs("--resume");
  command.add_flag("--overwrite", a.overwrite, "begin anew although --out holds a checkpoint")->excludes("--resume");
}

/// What can be known before the data are read and the training begins. Throws Error("train-options") and Error("output-exists").
inline void prepare_training(const CLI::App& command, TrainingArguments& a) {
  using sfumato::check;
  const std::filesystem::path out = a.out;
  a.steps_given = command.count("--steps") > 0;
  a.loop.checkpoint = out / "checkpoint.safetensors";
  a.loop.log = out / "loss.csv";
  a.train.total_steps = a.loop.steps;
  a.loop.seconds = 60 * a.minutes;
  check(a.loop.steps > 0, "train-options", "the number of steps must be positive, found ", a.loop.steps);
  check(std::isfinite(a.minutes) && a.minutes >= 0, "train-options", "--minutes must be finite and not negative, found ", a.minutes);
  check(a.resume || a.overwrite || !std::filesystem::exists(a.loop.checkpoint), "output-exists", a.loop.checkpoint.string(),
        " is there already: go on from it with --resume, or begin anew with --overwrite");
  a.train.validate();
}

/// The loss by step, and its mean over the last fiftieth of the run.
inline void plot_loss(const std::filesystem::path& csv, const std::filesystem::path& png, const std::string& title, bool log_y = true) {
  plot::Series raw{"loss", {}, {}, "#c0c8e0"}, mean{"mean", {}, {}, "#203080"};
  std::ifstream file(csv);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    double step = 0, loss = 0;
    if (std::sscanf(line.c_str(), "%lf,%lf", &step, &loss) != 2) continue;
    raw.x.push_back(step);
    raw.y.push_back(loss);
  }
  const std::size_t window = std::max<std::size_t>(1, raw.y.size() / 50);
  for (std::size_t i = window; i <= raw.y.size(); i += std::max<std::size_t>(1, window / 4)) {
    mean.x.push_back(raw.x[i - 1]);
    mean.y.push_back(std::accumulate(raw.y.begin() + std::ptrdiff_t(i - window), raw.y.begin() + std::ptrdiff_t(i), 0.0) / double(window));
  }
  plot::lines(png, {.title = title, .x_label = "step", .y_label = "loss", .log_y = log_y}, std::vector{raw, mean});
}

/// What a step takes here, from a few of a trainer that is then thrown away: one to warm up, and those of so many seconds, but at least one.
double seconds_per_step(double seconds, const auto& make_trainer, const auto& data) {
  using Clock = std::chrono::steady_clock;
  const auto trainer = make_trainer();
  trainer->step(data);  // takes the memory
  const auto start = Clock::now();
  double elapsed = 0;
  sfumato::Index steps = 0;
  while (elapsed < seconds || steps == 0) {
    trainer->step(data);
    ++steps;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  }
  return elapsed / double(steps);
}

/// How many steps this machine does in the given time, each phase of the run measured for three seconds or its part of a tenth of the time.
sfumato::Index steps_in(double seconds, TrainingArguments& a, const auto& make_trainer, const auto& data) {
  double mean = 0;
  for (std::size_t i = 0; i < a.phases.size(); ++i) {
    const double share = (i + 1 < a.phases.size() ? a.phases[i + 1] : 1) - a.phases[i];
    if (share <= 0) continue;
    a.measured = a.phases[i];
    mean += share * seconds_per_step(std::min(3.0, seconds / 10 / double(a.phases.size())), make_trainer, data);
  }
  a.measured.reset();
  return sfumato::Index(std::clamp(seconds / mean, 1.0, 1e15));
}

/// The length of a schedule that ends: that of the interrupted run, unless another one is asked for; in a new run at most what the time
/// is enough for, as the rate must have come down when it is up.
sfumato::Index planned_steps(TrainingArguments& a, const auto& make_trainer, const auto& data) {
  if (a.resume) {
    if (a.with_changes && a.steps_given) return a.loop.steps;
    const auto metadata = sfumato::io::SafetensorsFile(a.loop.checkpoint).metadata();
    sfumato::Index planned = a.loop.steps;
    if (const auto found = metadata.find("total_steps"); found != metadata.end())
      std::from_chars(found->second.data(), found->second.data() + found->second.size(), planned);
    return !a.steps_given || (a.minutes > 0 && planned < a.loop.steps) ? planned : a.loop.steps;
  }
  if (a.minutes == 0) return a.loop.steps;
  const sfumato::Index possible = steps_in(0.93 * a.loop.seconds, a, make_trainer, data);
  if (possible >= a.loop.steps) return a.loop.steps;
  std::fprintf(stderr, "%g minutes are enough for about %lld of %lld steps here: the schedule ends there\n", a.minutes, static_cast<long long>(possible),
               static_cast<long long>(a.loop.steps));
  return possible;
}

/// For the last line of the output.
inline const char* name_of(sfumato::Ended ended) {
  using sfumato::Ended;
  return ended == Ended::finished ? "done" : ended == Ended::out_of_time ? "out of time (go on with --resume)" : "interrupted (go on with --resume)";
}

/// For messages: on the progress line, above the plot; multiply-adds of a sample's pass through the model and through what is frozen.
struct TrainingTitle {
  std::string name, plot;
  sfumato::Index macs, frozen_macs = 0;
  bool log_y = true;
};

/// Trains as the options say what `make_trainer` makes by them, and returns it. `make_trainer` is called again with `a` changed, where
/// the schedule's length is found out. Throws Error("interrupted") after Ctrl-C, the run saved: what comes next wants a whole one.
template <class Make, class Data> auto run_trainer(TrainingArguments& a, const TrainingTitle& title, const Make& make_trainer, const Data& data) {
  using namespace sfumato;
  const std::filesystem::path out = a.out;
  if (a.train.schedule != Schedule::constant) a.train.total_steps = a.loop.steps = planned_steps(a, make_trainer, data);
  check(a.train.schedule != Schedule::linear || a.train.hold < a.loop.steps, "train-options", "--linear-from is ", a.train.hold, ", expected a step before the last, which is ", a.loop.steps);
  auto trainer = make_trainer();
  using T = std::remove_reference_t<decltype(*trainer)>;
  if (a.resume) {
    load_checkpoint(a.loop.checkpoint, *trainer, a.with_changes ? Resume::with_changes : Resume::exact);
    std::fprintf(stderr, "resumed after step %lld\n", static_cast<long long>(trainer->step_count()));
  }
  if (a.overwrite) std::filesystem::remove(a.loop.checkpoint);  // or a run killed before its first save would resume the old one
  const double rate = matrix_rate<typename T::element>(trainer->workspace().backend());
  Ended ended{};
  double speed = 0;
  {
    ProgressLine line(title.name);
    ended = run_training(*trainer, data, a.loop, [&](const Progress& p) {
      line(p);
      speed = p.samples_per_second;
    });
  }
  if (title.macs > 0)
    std::fprintf(stderr, "%.0f images/s: %.1f %% of what a large matrix product does here (%.3g multiply-adds/s); a backward pass is taken for two forward ones\n", speed,
                 100 * double(3 * title.macs + title.frozen_macs) * speed / rate, rate);
  if constexpr (requires { trainer->discriminator_loss(); })
    if (trainer->discriminator_loss() != 0) std::fprintf(stderr, "the discriminator's last loss: %.4g (1 where it tells nothing)\n", trainer->discriminator_loss());
  plot_loss(a.loop.log, out / "loss.png", title.plot, title.log_y);
  std::printf("%s after step %lld; wrote %s, %s, %s\n", name_of(ended), static_cast<long long>(trainer->step_count()), a.loop.checkpoint.c_str(), a.loop.log.c_str(), (out / "loss.png").c_str());
  check(ended != Ended::interrupted, "interrupted", title.name, ": stopped at step ", trainer->step_count());
  return trainer;
}

}  // namespace example
