// Training samples that lie in memory.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/base/rules.hpp>
#include <sfumato/tensor/shape.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

SFUMATO_BEGIN

/// Feeds a Trainer from arrays that somebody else owns and keeps: samples of shape S, (batch, ...), one after the other, and a label for
/// each. Without labels, all are 0. A flipped sample has its last axis reversed.
template <IsShape S> class Samples {
 public:
  /// Throws Error("dataset") unless the sizes fit and all values are finite.
  explicit Samples(std::span<const float> values, std::span<const int> labels = {}) : values_(values), labels_(labels) {
    check(Index(values.size()) % S::row == 0, "dataset", values.size(), " values are no whole number of samples of ", S::row);
    check(labels.empty() || Index(labels.size()) == size(), "dataset", "there are ", labels.size(), " labels for ", size(), " samples");
    const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    check(bad == values.end(), "dataset", "sample ", (bad - values.begin()) / S::row, " holds ", bad == values.end() ? 0 : *bad);
  }
  template <class Labels = std::span<const int>> explicit Samples(std::vector<float>&&, Labels&& = {}) = delete;  // would die before it is read
  explicit Samples(std::span<const float>, std::vector<int>&&) = delete;
  Index size() const { return Index(values_.size()) / S::row; }
  template <IsShape Wanted> void require_shape() const { require<rule::SameShape<Samples, S, Wanted>>(); }
  template <class E> int load(Index i, bool flip, E* out) const {
    constexpr Index width = width_of<S>;
    const auto sample = values_.subspan(static_cast<std::size_t>(i * S::row), static_cast<std::size_t>(S::row));
    for (Index j = 0; j < S::row; ++j) {
      const Index from = flip ? j - j % width + (width - 1 - j % width) : j;
      out[j] = static_cast<E>(sample[static_cast<std::size_t>(from)]);
    }
    return labels_.empty() ? 0 : labels_[static_cast<std::size_t>(i)];
  }

 private:
  std::span<const float> values_;
  std::span<const int> labels_;
};

SFUMATO_END
