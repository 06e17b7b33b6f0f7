// `reconstruct` of a program: images, and what a model makes of their latents: a grid of both, how far they are apart, scores where they are of Fashion-MNIST.
#pragma once

#include "device.hpp"
#include "fashion_score.hpp"
#include "images.hpp"
#include "progress.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace example {

struct ReconstructionArguments : DeviceArguments {
  std::string out = "reconstructions.png", report, classifier = bundled_classifier;
  sfumato::Index count = 0, batch = 100;
  int shown = 40, columns = 10;
};

inline void add_reconstruction_options(CLI::App& command, ReconstructionArguments& a) {
  command.add_option("--count", a.count, "so many images; 0: all")->capture_default_str()->check(CLI::NonNegativeNumber);
  command.add_option("--batch", a.batch)->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--out", a.out, "PNG grid to write: rows of images, below each its reconstructions")->capture_default_str();
  command.add_option("--shown", a.shown, "images in it")->capture_default_str()->check(CLI::Range(1, 10'000));
  command.add_option("--columns", a.columns, "of the grid")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--classifier", a.classifier, "fashion: the classifier that scores them")->capture_default_str();
  command.add_option("--report", a.report, "text file to also write the figures to");
  add_device_options(command, a);
}
/// Before images are read. Throws as `require_writable`.
inline void require_writable_reconstructions(const ReconstructionArguments& a) {
  require_writable(a.out);
  if (!a.report.empty()) require_writable(a.report);
}

class Reconstructions {
 public:
  /// The first images of `dataset`, or all; `scored`: of Fashion-MNIST.
  Reconstructions(const ReconstructionArguments& a, const sfumato::io::ImageDataset& dataset, bool scored)
      : a_(a), side_(dataset.height), channels_(dataset.channels), size_(a.count > 0 ? std::min(a.count, dataset.size()) : dataset.size()), cpu_(a.threads),
        most_(std::min(std::size_t(a.shown), grid_limit(side_, a.columns) / 2)) {
    if (scored && size_ >= FashionScorer::least) scorer_.emplace(cpu_, dataset, a.classifier);
  }
  Reconstructions(const ReconstructionArguments&&, const sfumato::io::ImageDataset&, bool) = delete;  // would die before it is read
  Reconstructions(const Reconstructions&) = delete;
  Reconstructions& operator=(const Reconstructions&) = delete;

  /// Calls `batch(first, n, real, made, labels)` for `n` images at a time, which is to fill in the images and what is made of them, (n, channels, side,
  /// side) in [-1, 1], and the images' labels.
  template <class Batch> void each(Batch&& batch) {
    std::vector<float> real, made;
    CountLine line("reconstructed", size_);
    for (sfumato::Index first = 0; first < size_; first += a_.batch) {
      const sfumato::Index n = std::min(a_.batch, size_ - first);
      real.resize(std::size_t(n) * row());
      made.resize(real.size());
      labels_.resize(std::size_t(first + n));
      batch(first, n, std::span(real), std::span(made), std::span(labels_).last(std::size_t(n)));
      take(real, made);
      line(first + n);
    }
  }
  /// Writes what was asked for. `what` was reconstructed stands in the report.
  void finish(const std::string& what) {
    sfumato::io::write_png(a_.out, sfumato::io::grid(in_rows(above_, below_, a_.columns), a_.columns, 2));
    const double values = double(size_) * double(row());
    std::string report = sfumato::text(size_, " images", what, ": mean |difference| ", l1_ / values, ", PSNR ", 10 * std::log10(values / square_), " dB\n");
    if (scorer_) {
      const Score of_real = scorer_->score(real_, labels_), of_made = scorer_->score(made_, labels_);
      report += sfumato::text("recognised as their label: ", 100 * of_real.recognised, " % of the images, ", 100 * of_made.recognised, " % of the reconstructions; Frechet distance between them ", of_made.frechet, "\n");
    }
    std::printf("%swrote %s\n", report.c_str(), a_.out.c_str());
    if (!a_.report.empty()) write_text(a_.report, report);
  }

 private:
  std::size_t row() const { return std::size_t(channels_) * std::size_t(side_) * std::size_t(side_); }
  void take(std::span<const float> real, std::span<const float> made) {
    for (std::size_t i = 0; i < real.size(); ++i) {
      const double d = 0.5 * (double(real[i]) - std::clamp(double(made[i]), -1.0, 1.0));
      l1_ += std::abs(d);
      square_ += d * d;
    }
    for (std::size_t i = 0; i < real.size() && above_.size() < most_; i += row()) {
      above_.push_back(sfumato::to_image(real.subspan(i, row()), channels_, side_));
      below_.push_back(sfumato::to_image(made.subspan(i, row()), channels_, side_, sfumato::ToEightBits::truncate));
    }
    if (!scorer_) return;
    real_.insert(real_.end(), real.begin(), real.end());
    made_.insert(made_.end(), made.begin(), made.end());
  }

  const ReconstructionArguments& a_;
  int side_, channels_;
  sfumato::Index size_;
  sfumato::backend::Cpu cpu_;
  std::size_t most_;
  std::optional<FashionScorer> scorer_;
  std::vector<float> real_, made_;
  std::vector<int> labels_;
  double l1_ = 0, square_ = 0;
  std::vector<sfumato::io::Image> above_, below_;
};

}  // namespace example
