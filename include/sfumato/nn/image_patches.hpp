// What a model of images cut into square patches sees.
#pragma once

#include <sfumato/base/rules.hpp>

SFUMATO_BEGIN

/// Image side and channels, patch side and number of classes: and all that follows from them.
template <int ImageSize, int Channels, int PatchSize, int NumClasses> struct ImagePatches : private rule::PatchDividesImage<ImageSize, PatchSize> {
  static constexpr int size = ImageSize, channels = Channels, patch = PatchSize, classes = NumClasses;
  static constexpr int grid = ImageSize / PatchSize, tokens = grid * grid, token_dim = Channels * PatchSize * PatchSize;
};

SFUMATO_END
