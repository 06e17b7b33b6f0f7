// Mean and variance of an encoder's latents over a data set: gathered, written, read.
#pragma once

#include <sfumato/base/rules.hpp>
#include <sfumato/io/safetensors.hpp>
#include <sfumato/models/latent_scale.hpp>
#include <sfumato/train/weights.hpp>
#include <sfumato/train/weights_file.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

SFUMATO_BEGIN

/// Gathers the mean and the biased variance of every element of latents (n, Tokens, Dim), in double precision. (The published statistics
/// are a running average over the last batches of one pass; these are of all that was added.)
template <int Tokens, int Dim> class LatentStatistics {
 public:
  static constexpr std::size_t size = std::size_t(Tokens) * std::size_t(Dim);

  /// Welford's update, sample by sample. Throws Error("shape") and, the samples before the bad one added, Error("non-finite-latents").
  void add(std::span<const float> latents) {
    check(latents.size() % size == 0, "shape", latents.size(), " values are no whole number of latents of ", Tokens, " x ", Dim);
    for (std::size_t first = 0; first < latents.size(); first += size) {
      const auto sample = latents.subspan(first, size);
      const auto bad = std::find_if(sample.begin(), sample.end(), [](float v) { return !std::isfinite(v); });
      if (bad != sample.end()) {
        const auto j = std::size_t(bad - sample.begin());
        throw Error("non-finite-latents", text("latent ", count_ + 1, " holds ", *bad, " at token ", j / std::size_t(Dim), ", channel ", j % std::size_t(Dim)));
      }
      ++count_;
      for (std::size_t j = 0; j < size; ++j) {
        const double value = double(sample[j]), before = value - mean_[j];
        mean_[j] += before / double(count_);
        squares_[j] += before * (value - mean_[j]);
      }
    }
  }
  Index count() const { return count_; }
  /// By element, (Tokens, Dim).
  const std::vector<double>& mean() const { return mean_; }
  /// Not a number before anything was added.
  std::vector<double> variance() const {
    auto out = squares_;
    for (double& v : out) v /= double(count_);
    return out;
  }
  /// Writes "mean", unless it is to be left out, and "var" as the published files have them: (Dim, side, side); as metadata the number of
  /// samples and `more`. Throws Error("latent-statistics") before anything was added.
  void save(const std::filesystem::path& path, bool with_mean = true, std::map<std::string, std::string> more = {}) const {
    check(count_ > 0, "latent-statistics", "there are no latents to write statistics of to ", path.string());
    constexpr int side = ops::square_side<Tokens>;
    require<rule::SquarePlaces<Tokens, side * side>>();
    std::vector<float> mean(size), var(size);
    const auto all = variance();
    for (std::size_t t = 0; t < std::size_t(Tokens); ++t)
      for (std::size_t c = 0; c < std::size_t(Dim); ++c) {
        mean[c * std::size_t(Tokens) + t] = static_cast<float>(mean_[t * std::size_t(Dim) + c]);
        var[c * std::size_t(Tokens) + t] = static_cast<float>(all[t * std::size_t(Dim) + c]);
      }
    std::vector<io::TensorToWrite> tensors;
    if (with_mean) tensors.push_back({"mean", io::Dtype::f32, {Dim, side, side}, mean.data(), {}});
    tensors.push_back({"var", io::Dtype::f32, {Dim, side, side}, var.data(), {}});
    more["samples"] = std::to_string(count_);
    io::write_safetensors(path, tensors, more);
  }

 private:
  Index count_ = 0;
  std::vector<double> mean_ = std::vector<double>(size), squares_ = std::vector<double>(size);
};

/// Fills a LatentScale from a file of "mean" and "var", (Dim, side, side) each: a missing mean is 0, a missing variance 1. Throws
/// Error("checkpoint-mismatch") for other shapes and other tensors, and Error("latent-statistics") for a variance that is negative, and for what is not a number or beyond those of E.
template <int Tokens, int Dim, class B, class E> void read_statistics(const std::filesystem::path& path, Weights<LatentScale<Tokens, Dim>, B, E>& into) {
  const io::SafetensorsFile file(path);
  constexpr std::size_t size = std::size_t(Tokens) * std::size_t(Dim);
  detail::Differences differences;
  for (const std::string& name : file.names()) {
    const auto& shape = file.at(name).shape;
    const bool known = name == "mean" || name == "var";
    if (!known) differences.add("extra", name, detail::shape_list(shape));
    else if (shape.size() != 3 || shape[0] != Dim || shape[1] != shape[2] || shape[1] * shape[2] != Tokens)
      differences.add("shape", name, "expected ", Dim, " channels of ", Tokens, " places in a square, found ", detail::shape_list(shape));
    else if (!detail::is_float(file.at(name).dtype)) differences.add("type", name, "expected a floating-point type");
  }
  if (!file.contains("mean") && !file.contains("var")) differences.add("missing", "mean or var,", "at least one of them");
  differences.require_none("checkpoint-mismatch", path.string(), "does not hold these latents' statistics");

  const auto read = [&](const char* name, double otherwise) {
    std::vector<double> values(size, otherwise), placed(size);
    if (file.contains(name)) file.read<double>(file.at(name), values);
    for (std::size_t t = 0; t < std::size_t(Tokens); ++t)
      for (std::size_t c = 0; c < std::size_t(Dim); ++c) {
        placed[t * std::size_t(Dim) + c] = values[c * std::size_t(Tokens) + t];
        check(std::isfinite(values[c * std::size_t(Tokens) + t]), "latent-statistics", path.string(), " holds ", values[c * std::size_t(Tokens) + t], " in ", name);
      }
    return placed;
  };
  using Scale = LatentScale<Tokens, Dim>;
  const auto mean = read("mean", 0);
  auto deviation = read("var", 1);
  std::vector<E> shift(size), scale(size), back(size), offset(size);
  const auto element = [&](double value) {
    check(std::abs(value) <= double(std::numeric_limits<compute_t<E>>::max()), "latent-statistics", path.string(), " holds a mean or variance that needs ", value, ", too large for these elements");
    return static_cast<E>(value);
  };
  for (std::size_t i = 0; i < size; ++i) {
    check(deviation[i] >= 0, "latent-statistics", path.string(), " holds a variance of ", deviation[i]);
    deviation[i] = std::sqrt(deviation[i] + Scale::epsilon);
    scale[i] = element(1 / deviation[i]);
    shift[i] = element(-mean[i] / deviation[i]);
    back[i] = element(deviation[i]);
    offset[i] = element(mean[i]);
  }
  auto& values = into.values();
  const Scale& places = into.model();
  values.upload(offset, places.mean.offset);
  values.upload(shift, places.shift.offset);
  values.upload(back, places.deviation.offset);
  values.upload(scale, places.scale.offset);
}

SFUMATO_END
