// The loop around steps: progress, log, checkpoints, a clean stop.
#pragma once

#include <sfumato/train/checkpoint.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <locale>

SFUMATO_BEGIN

/// Where a run stands, for a progress line.
struct Progress {
  StepResult last;
  Index steps;              ///< the last step's number
  double samples_per_second;
  double seconds_left;
};

/// Options of `run_training`.
struct LoopOptions {
  Index steps = 1000;                    ///< stop after this step
  double seconds = 0;                    ///< also stop after so many seconds; 0: no limit
  std::filesystem::path checkpoint = {}; ///< where to save; empty: nowhere
  Index checkpoint_every = 1000;         ///< steps between saves; one at the end in any case
  std::filesystem::path log = {};        ///< CSV of step, loss, gradient norm, rate, samples/s and what `for_each_figure` tells; appended to on resume
  Index report_every = 50;
};

/// Why `run_training` returned.
enum class Ended { finished, out_of_time, interrupted };

/// Set by SIGINT while an `InterruptGuard` lives; the loop then saves and returns.
class InterruptGuard {
 public:
  InterruptGuard() { flag() = false; previous_ = std::signal(SIGINT, [](int) { flag() = true; }); }
  ~InterruptGuard() { std::signal(SIGINT, previous_); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool interrupted() { return flag(); }

 private:
  static std::atomic<bool>& flag() {
    static std::atomic<bool> interrupted{false};
    return interrupted;
  }
  void (*previous_)(int);
};

namespace detail {
/// Drops rows of steps after `step` (an earlier run got further than its checkpoint) and opens the log to go on.
inline std::ofstream open_log(const std::filesystem::path& path, Index step, const std::string& columns) {
  const auto commas = [](const std::string& row) { return std::count(row.begin(), row.end(), ','); };
  std::string kept = columns + "\n";
  if (step > 0) {
    std::ifstream old(path);
    std::string line;
    std::getline(old, line);
    while (std::getline(old, line))
      if (commas(line) == commas(columns) && std::atoll(line.c_str()) <= step) kept += line + "\n";  // a torn row is dropped
  }
  io::AtomicFile rewritten(path);
  rewritten.write(kept);
  rewritten.commit();
  std::ofstream log(path, std::ios::app);
  log.imbue(std::locale::classic());
  check(log.good(), "log", "cannot write ", path.string(), ": ", io::detail::system_message(errno));
  return log;
}
/// Calls visit(name, value) for what a trainer has to tell besides its steps' results.
template <class T, class Visit> void for_each_figure(const T& trainer, Visit&& visit) {
  if constexpr (requires { trainer.for_each_figure(visit); }) trainer.for_each_figure(visit);
}
}  // namespace detail

/// Trains until the last step, the time limit or SIGINT; `report` gets a Progress now and then. On an error the checkpoint is the last good one.
template <class T, class Data> Ended run_training(T& trainer, const Data& data, const LoopOptions& options, const std::function<void(const Progress&)>& report) {
  using Clock = std::chrono::steady_clock;
  check(options.steps > 0, "train-options", "the number of steps must be positive, found ", options.steps);
  for (const auto& [value, what] : {std::pair{options.report_every, "report_every"}, {options.checkpoint_every, "checkpoint_every"}})
    check(value > 0, "train-options", what, " must be positive, found ", value);
  check(options.seconds >= 0, "train-options", "the time limit must not be negative, found ", options.seconds, " s");
  InterruptGuard guard;
  std::ofstream log;
  if (!options.log.empty()) {
    std::string columns = "step,loss,gradient_norm,learning_rate,samples_per_second";
    detail::for_each_figure(trainer, [&](const char* name, double) { columns += text(',', name); });
    log = detail::open_log(options.log, trainer.step_count(), columns);
  }
  const auto start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const Index first = trainer.step_count();
  Index saved = first > 0 ? first : -1;  // a resumed run's file need not be written again before it has done a step
  const auto save = [&] {
    if (saved == trainer.step_count()) return;
    detail::for_each_part(trainer, [&](const std::string& part, auto& of) {
      const auto& weights = of.weights();
      check(std::isfinite(Kernels<typename T::backend>::squared_norm(weights.backend(), weights.size(), weights.data())), "non-finite-weights", "step ",
            trainer.step_count(), " left ", part, "weights that are not finite; no checkpoint is written of them");
    });
    if (!options.checkpoint.empty()) save_checkpoint(options.checkpoint, trainer);
    saved = trainer.step_count();
  };
  struct Drop {  // the next call may come with other data
    T& trainer;
    ~Drop() { trainer.drop_ahead(); }
  } drop_at_end{trainer};
  bool stop = false;
  while (trainer.step_count() < options.steps && !stop) {
    const StepResult result = trainer.step(data, trainer.step_count() + 1 < options.steps);
    stop = InterruptGuard::interrupted() || (options.seconds > 0 && seconds() > options.seconds);
    const bool last = stop || result.step == options.steps;
    const double elapsed = seconds(), done = double(result.step - first);
    const double speed = done * double(trainer.options().batch) / elapsed;
    if (log.is_open()) {
      log << result.step << ',' << result.loss << ',' << result.gradient_norm << ',' << result.learning_rate << ',' << speed;
      detail::for_each_figure(trainer, [&](const char*, double value) { log << ',' << value; });
      log << '\n';
    }
    if (last || result.step % options.report_every == 0) {
      if (log.is_open() && !log.flush()) {
        const int reason = errno;  // read before a message is made
        throw Error("log", text("cannot write ", options.log.string(), ": ", io::detail::system_message(reason)));
      }
      double left = double(options.steps - result.step) * elapsed / done;
      if (options.seconds > 0) left = std::min(left, std::max(0.0, options.seconds - elapsed));
      report({result, options.steps, speed, left});
    }
    if (result.step % options.checkpoint_every == 0) save();
  }
  save();
  return trainer.step_count() >= options.steps ? Ended::finished : InterruptGuard::interrupted() ? Ended::interrupted : Ended::out_of_time;
}

SFUMATO_END
