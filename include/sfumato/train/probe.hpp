// What a representation knows of labels, as a linear classifier on it tells.
#pragma once

#include <sfumato/flow/classification.hpp>
#include <sfumato/models/linear_probe.hpp>
#include <sfumato/train/samples.hpp>
#include <sfumato/train/trainer.hpp>

#include <algorithm>
#include <cmath>

SFUMATO_BEGIN

/// Options of `linear_probe`.
struct ProbeOptions {
  int epochs = 20;
  Index batch = 256;
  double learning_rate = 5e-3;  ///< AdamW's; a cosine to zero
  std::uint64_t seed = 0;
};

/// Features, one row of `Width` for each sample, and labels.
struct LabelledFeatures {
  std::vector<float> values;
  std::vector<int> labels;
};

/// Share of the test samples whose label a linear classifier names that was trained on the others' features. Each feature is first
/// brought to mean 0 and variance 1 over the training samples; one that does not change there tells nothing. Throws Error("dataset"),
/// Error("label-range") and Error("train-options").
template <int Width, int Classes, Backend B> double linear_probe(B& device, LabelledFeatures train, LabelledFeatures test, const ProbeOptions& options = {}) {
  const auto count = [](const LabelledFeatures& f, const char* what) {
    check(!f.labels.empty() && f.values.size() == f.labels.size() * std::size_t(Width), "dataset", "the ", what, " features are ", f.values.size(), ", expected ", Width,
          " for each of ", f.labels.size(), " labels");
    const auto bad = std::find_if(f.values.begin(), f.values.end(), [](float v) { return !std::isfinite(v); });
    if (bad != f.values.end()) throw Error("dataset", text("the ", what, " features of sample ", (bad - f.values.begin()) / Width, " hold ", *bad));
    ops::check_labels(f.labels, Classes);
    return f.labels.size();
  };
  const std::size_t n = count(train, "training"), tested = count(test, "test");
  check(options.epochs > 0, "train-options", "the number of epochs must be positive, found ", options.epochs);
  check(options.batch > 0, "train-options", "batch must be positive, found ", options.batch);
  for (std::size_t j = 0; j < std::size_t(Width); ++j) {
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) mean += double(train.values[i * std::size_t(Width) + j]);
    mean /= double(n);
    for (std::size_t i = 0; i < n; ++i) square += (double(train.values[i * std::size_t(Width) + j]) - mean) * (double(train.values[i * std::size_t(Width) + j]) - mean);
    const double deviation = std::sqrt(square / double(n));
    const double scale = deviation > 1e-7 * std::abs(mean) ? 1 / deviation : 0;  // less than that is f32's rounding
    for (auto* part : {&train.values, &test.values})
      for (std::size_t i = j; i < part->size(); i += std::size_t(Width)) (*part)[i] = static_cast<float>((double((*part)[i]) - mean) * scale);
  }
  using Probe = LinearProbe<Width, Classes>;
  using Features = typename Probe::FeatureShape;
  const Index batch = std::min<Index>(options.batch, Index(n)), steps = std::max<Index>(1, options.epochs * Index(n) / batch);
  Trainer<Probe, Features, Classification, B> trainer(device, {}, {.batch = batch, .learning_rate = options.learning_rate, .schedule = Schedule::cosine, .total_steps = steps, .seed = options.seed});
  const Samples<Features> samples(train.values, train.labels);
  for (Index i = 0; i < steps; ++i) trainer.step(samples, i + 1 < steps);
  trainer.drop_ahead();

  auto run = trainer.run(trainer.weights());
  std::vector<float> logits(tested * std::size_t(Classes));
  ops::output(run, trainer.model()(run, ops::input<Features>(run, test.values)), std::span(logits));
  std::size_t right = 0;
  for (std::size_t i = 0; i < tested; ++i) {
    const auto row = logits.begin() + std::ptrdiff_t(i * std::size_t(Classes));
    right += std::max_element(row, row + Classes) - row == test.labels[i];
  }
  return double(right) / double(tested);
}

SFUMATO_END
