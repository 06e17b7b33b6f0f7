// What an encoder, a diffusion model and a decoder have in common.
#pragma once

#include <sfumato/base/config.hpp>

SFUMATO_BEGIN

/// A latent space of Grid x Grid tokens with `Dim` values each, row by row, and the number of classes, which a decoder does not look at.
template <int Grid, int Dim, int NumClasses> struct LatentTokens {
  static constexpr int grid = Grid, tokens = Grid * Grid, token_dim = Dim, classes = NumClasses;
};
/// ImageNet's, in an encoder's tokens of `Dim` values.
template <int Dim, int Grid = 16> using ImageNetTokens = LatentTokens<Grid, Dim, 1000>;

SFUMATO_END
