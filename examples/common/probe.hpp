// What a linear classifier finds in images, in whatever form they are shown to it.
#pragma once

#include <sfumato/train/image_source.hpp>
#include <sfumato/train/probe.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace example {

/// What `look` makes of a dataset's images, of shape `Image`: it is called with (batch, ...) and returns (batch, Width).
template <int Width, class Image, class Ctx, class Look> sfumato::LabelledFeatures features_of(Ctx& run, const sfumato::ImageSource& source, const Look& look) {
  using sfumato::Index;
  sfumato::LabelledFeatures all{std::vector<float>(std::size_t(source.size() * Width)), std::vector<int>(std::size_t(source.size()))};
  for (Index first = 0; first < source.size(); first += 500) {
    const Index n = std::min<Index>(500, source.size() - first);
    const auto images = sfumato::ops::input_from<Image>(run, n, [&](auto* out) {
      for (Index b = 0; b < n; ++b) all.labels[std::size_t(first + b)] = source.load(first + b, false, out + b * Image::row);
    });
    sfumato::ops::output(run, look(images), std::span(all.values).subspan(std::size_t(first * Width), std::size_t(n * Width)));
  }
  return all;
}

}  // namespace example
