// `sample` of a program: which images are drawn, and what is made of them: a grid, one .npz for the field's evaluators, scores where they are of Fashion-MNIST.
#pragma once

#include "device.hpp"
#include "fashion_score.hpp"
#include "images.hpp"
#include "progress.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/io/npz.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace example {

struct SampleArguments : DeviceArguments {
  std::string grid = "samples.png", npz, report, data, classifier = bundled_classifier;
  std::vector<int> labels;
  int count = 8, columns = 8;
  sfumato::Index batch = 50, first = 0, balanced = 0;
  std::uint64_t seed = 0;
  sfumato::SamplerOptions sampler{.steps = 50, .guidance = 1};
};

/// With two of them.
inline std::string decimals(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.2f", value);
  return digits;
}

inline void add_sample_options(CLI::App& command, SampleArguments& a) {
  auto* labels = command.add_option("--labels", a.labels, "classes to draw, e.g. 207,360; the first ten if left out")->delimiter(',');
  auto* count = command.add_option("--count", a.count, "images per label")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  command.add_option("--balanced", a.balanced, "so many images in all, equally many of each class")->check(CLI::PositiveNumber)->excludes(labels)->excludes(count);
  command.add_option("--guidance", a.sampler.guidance, "scale of guidance; 1: none")->capture_default_str();
  command.add_option("--guidance-low", a.sampler.guidance_low, "guidance applies for times above this (1 is data)")->capture_default_str();
  command.add_option("--guidance-high", a.sampler.guidance_high, "and below this")->capture_default_str();
  command.add_option("--seed", a.seed)->capture_default_str();
  command.add_option("--first", a.first, "number of the first image: each has its own noise")->capture_default_str()->check(CLI::NonNegativeNumber);
  command.add_option("--batch", a.batch, "images drawn at once; does not change them")->capture_default_str();
  command.add_option("--out", a.grid, "PNG grid to write, of all images or the first ones")->capture_default_str();
  command.add_option("--columns", a.columns, "of the grid")->capture_default_str()->check(CLI::PositiveNumber);
  command.add_option("--npz", a.npz, "file to also write all images to, as uint8 NHWC `arr_0`");
  command.add_option("--data", a.data, "fashion: folder with the test set that the images are compared with")->check(folder_named);
  command.add_option("--classifier", a.classifier, "fashion: the classifier that scores them")->capture_default_str();
  command.add_option("--report", a.report, "fashion: text file to also write the scores to");
  add_device_options(command, a);
}

class DrawnImages {
 public:
  /// Images of `channels` and `side` x `side` pixels, one for each label asked for, of `classes`; `scored`: of Fashion-MNIST. Throws here, before
  /// the drawing, for options that mean nothing and for what could not be written after it.
  DrawnImages(const SampleArguments& a, int side, int channels, int classes, bool scored)
      : a_(a), side_(side), channels_(channels), labels_(chosen(a, classes)), cpu_(a.threads), most_(grid_limit(side, a.columns)) {
    using sfumato::check;
    check(a.batch > 0 && a.batch <= 65536, "sampler-options", "the batch must be in 1..65536, found ", a.batch);
    a.sampler.validate();
    scored = scored && size() >= FashionScorer::least;
    check(a.report.empty() || scored, "options", "--report is of scores, which take the fashion system and at least ", FashionScorer::least, " images, found ", size());
    require_writable(a.grid);
    if (!a.report.empty()) require_writable(a.report);
    if (!a.npz.empty()) npz_.emplace(a.npz, std::array<sfumato::Index, 4>{size(), side, side, channels});
    if (scored) scorer_.emplace(cpu_, sfumato::io::load_fashion_mnist(fashion_or_bundled(a.data), sfumato::io::Split::test), a.classifier);
  }
  DrawnImages(const SampleArguments&&, int, int, int, bool) = delete;  // would die before it is read
  DrawnImages(const DrawnImages&) = delete;
  DrawnImages& operator=(const DrawnImages&) = delete;

  sfumato::Index size() const { return sfumato::Index(labels_.size()); }

  /// Calls `draw(labels, first, show, images)` for a batch at a time: `first` is the number of its first image, `show(step)` is for the sampler, and
  /// `images` is to hold (n, channels, side, side) values in [-1, 1].
  template <class Draw> void draw(Draw&& draw) {
    std::vector<float> images;
    CountLine line("drew", size());
    for (std::size_t done = 0; done < labels_.size(); done += std::size_t(a_.batch)) {
      const auto part = std::span<const int>(labels_).subspan(done, std::min(std::size_t(a_.batch), labels_.size() - done));
      draw(part, a_.first + sfumato::Index(done), [&](int step) { line(sfumato::Index(done), sfumato::text("step ", step + 1, "/", a_.sampler.steps, " of the next ", part.size())); }, images);
      sfumato::check(images.size() == part.size() * row(), "shape", "a batch of ", part.size(), " images was drawn as ", images.size(), " values, expected ", row(), " each");
      take(images);
    }
    line(size());
  }
  /// Writes what was asked for. `how` they were drawn stands in the report.
  void finish(const std::string& how) {
    if (npz_) npz_->commit();
    sfumato::io::write_png(a_.grid, sfumato::io::grid(shown_, a_.columns, 2));
    std::printf("wrote %s (%zu of %zu images)\n", a_.grid.c_str(), shown_.size(), labels_.size());
    if (!scorer_) return;
    const Score s = scorer_->score(scored_, labels_);
    const std::string report = sfumato::text(labels_.size(), " images, ", how, ": ", decimals(100 * s.recognised), " % recognised as their label, Frechet distance ", decimals(s.frechet), ", precision ", decimals(s.precision), ", recall ",
                                             decimals(s.recall), ", inception score ", decimals(s.inception), "\n");
    std::printf("%s", report.c_str());
    if (!a_.report.empty()) write_text(a_.report, report);
  }

 private:
  static std::vector<int> chosen(const SampleArguments& a, int classes) {
    if (a.balanced > 0) return sfumato::balanced_labels(a.balanced, classes);
    std::vector<int> labels;
    for (const int label : a.labels) labels.insert(labels.end(), std::size_t(a.count), label);
    for (int label = 0; a.labels.empty() && label < std::min(10, classes); ++label) labels.insert(labels.end(), std::size_t(a.count), label);
    sfumato::ops::check_labels(labels, classes);
    return labels;
  }
  std::size_t row() const { return std::size_t(channels_) * std::size_t(side_) * std::size_t(side_); }
  void take(std::span<const float> images) {
    if (scorer_) scored_.insert(scored_.end(), images.begin(), images.end());
    for (std::size_t i = 0; i < images.size() && (npz_ || shown_.size() < most_); i += row()) {
      sfumato::io::Image image = sfumato::to_image(images.subspan(i, row()), channels_, side_, sfumato::ToEightBits::truncate);
      if (npz_) npz_->append(image.pixels);
      if (shown_.size() < most_) shown_.push_back(std::move(image));
    }
  }

  const SampleArguments& a_;
  int side_, channels_;
  std::vector<int> labels_;
  sfumato::backend::Cpu cpu_;
  std::size_t most_;
  std::optional<sfumato::io::NpzWriter> npz_;
  std::optional<FashionScorer> scorer_;
  std::vector<sfumato::io::Image> shown_;
  std::vector<float> scored_;
};

}  // namespace example
