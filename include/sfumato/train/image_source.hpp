// Images as training samples, and samples as images.
#pragma once

#include <sfumato/io/dataset.hpp>
#include <sfumato/io/image.hpp>
#include <sfumato/tensor/shape.hpp>

#include <algorithm>
#include <cmath>
#include <span>

SFUMATO_BEGIN

/// Feeds a dataset to a trainer: channels first, scaled from 0..255 to [-1, 1].
class ImageSource {
 public:
  explicit ImageSource(const io::ImageDataset& dataset) : dataset_(&dataset) {}

  /// Throws Error("dataset") unless the images are of S, (batch, channels, height, width).
  template <IsShape S> requires (S::rank == 4) void require_shape() const {
    const io::ImageDataset& d = *dataset_;
    check(extent<S, 1> == d.channels && extent<S, 2> == d.height && extent<S, 3> == d.width, "dataset", "the images are ", d.height, " x ",
          d.width, " x ", d.channels, ", expected ", extent<S, 2>, " x ", extent<S, 3>, " x ", extent<S, 1>);
  }
  Index size() const { return static_cast<Index>(dataset_->size()); }
  /// Writes (channels, height, width) and returns the label.
  template <class E> int load(Index i, bool flip, E* out) const {
    const int height = dataset_->height, width = dataset_->width, channels = dataset_->channels;
    pixels_.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * static_cast<std::size_t>(channels));
    dataset_->pixels(static_cast<std::size_t>(i), pixels_);
    for (int c = 0; c < channels; ++c)
      for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
          const int from = flip ? width - 1 - x : x;
          *out++ = static_cast<E>(pixels_[static_cast<std::size_t>((y * width + from) * channels + c)] / 127.5f - 1);
        }
    return dataset_->label(static_cast<std::size_t>(i));
  }

 private:
  const io::ImageDataset* dataset_;
  mutable std::vector<std::uint8_t> pixels_;
};

/// How 255 (x + 1) / 2 becomes a whole number: JiT rounds, RAE truncates.
enum class ToEightBits { round, truncate };

/// A sample (channels, size, size) in [-1, 1], clipped to that, as an image. Throws Error("non-finite-sample").
inline io::Image to_image(std::span<const float> sample, int channels, int size, ToEightBits by = ToEightBits::round) {
  io::Image image{size, size, channels, std::vector<std::uint8_t>(sample.size())};
  for (int c = 0; c < channels; ++c)
    for (int p = 0; p < size * size; ++p) {
      const float x = sample[static_cast<std::size_t>(c * size * size + p)];
      check(std::isfinite(x), "non-finite-sample", "a sample holds ", x, " at channel ", c, ", pixel ", p);
      const float value = std::clamp(127.5f * (x + 1), 0.0f, 255.0f);
      image.pixels[static_cast<std::size_t>(p * channels + c)] = static_cast<std::uint8_t>(by == ToEightBits::round ? std::lround(value) : static_cast<long>(value));
    }
  return image;
}

SFUMATO_END
