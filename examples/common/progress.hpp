// One line on stderr that says where a training run stands.
#pragma once

#include <sfumato/train/loop.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include <unistd.h>

namespace example {

/// Prints step, loss, images per second and the time left: in place on a terminal, now and then elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(std::string title) : title_(std::move(title)), terminal_(isatty(STDERR_FILENO) != 0) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { finish(); }

  void operator()(const sfumato::Progress& p) {
    const auto now = std::chrono::steady_clock::now();
    const bool last = p.last.step == p.steps;
    if (!terminal_ && !last && open_ && now - printed_ < std::chrono::seconds(20)) return;
    printed_ = now;
    open_ = true;
    const long left = static_cast<long>(p.seconds_left + 0.5);
    std::fprintf(stderr, "%s%s: step %lld/%lld, loss %.4g, %.0f images/s, %ld:%02ld left%s",
                 terminal_ ? "\r\033[K" : "", title_.c_str(), static_cast<long long>(p.last.step),
                 static_cast<long long>(p.steps), p.last.loss, p.samples_per_second, left / 60, left % 60,
                 terminal_ ? "" : "\n");
    std::fflush(stderr);
  }
  /// Ends the line, so that other output can follow.
  void finish() {
    if (terminal_ && open_) std::fputc('\n', stderr);
    open_ = false;
  }

 private:
  std::string title_;
  bool terminal_;
  bool open_ = false;
  std::chrono::steady_clock::time_point printed_;
};

/// Prints "encoded 300 of 10000" on stderr as work goes on: in place on a terminal, now and then elsewhere.
class CountLine {
 public:
  CountLine(std::string what, sfumato::Index total) : what_(std::move(what)), total_(total), terminal_(isatty(STDERR_FILENO) != 0) {}
  CountLine(const CountLine&) = delete;
  CountLine& operator=(const CountLine&) = delete;
  ~CountLine() { if (terminal_ && open_) std::fputc('\n', stderr); }

  /// `more`: on what, e.g. "step 3/50".
  void operator()(sfumato::Index done, const std::string& more = "") {
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ && open_ && done < total_ && now - printed_ < std::chrono::seconds(20)) return;
    printed_ = now;
    open_ = true;
    std::fprintf(stderr, "%s%s %lld of %lld%s%s%s", terminal_ ? "\r\033[K" : "", what_.c_str(), static_cast<long long>(done), static_cast<long long>(total_), more.empty() ? "" : ", ", more.c_str(), terminal_ ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  std::string what_;
  sfumato::Index total_;
  bool terminal_, open_ = false;
  std::chrono::steady_clock::time_point printed_;
};

/// Trains with a progress line. Throws Error("interrupted") when Ctrl-C ended the run early.
template <class Trainer, class Data>
void train(Trainer& trainer, const Data& data, const sfumato::LoopOptions& options, const std::string& title) {
  ProgressLine line(title);
  const sfumato::Ended ended = sfumato::run_training(trainer, data, options, [&](const sfumato::Progress& p) { line(p); });
  line.finish();
  sfumato::check(ended == sfumato::Ended::finished, "interrupted", title, ": stopped at step ", trainer.step_count());
}

}  // namespace example
