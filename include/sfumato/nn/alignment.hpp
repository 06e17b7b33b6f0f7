// Alignment of a model's tokens with those of a frozen encoder (REPA: Yu et al., arXiv 2410.06940, section 3).
#pragma once

#include <sfumato/nn/layers.hpp>

SFUMATO_BEGIN

namespace option {
struct alignment;
}  // namespace option

namespace rule {
template <int Block, int Depth> struct AlignmentBlock {
  static_assert(0 < Block, "[alignment-block] blocks are counted from 1: the first that alignment can stand behind");
  static_assert(Block <= Depth, "[alignment-block] alignment stands behind a block that the trunk does not have");
};
template <int ClassDim, int TeacherDim> struct TeacherWidth {
  static_assert(ClassDim == TeacherDim, "[teacher-width] class token and aligned tokens are one encoder's, of one width");
};
template <class Model, int Tokens, int Patches> struct TeacherTokens {
  static_assert(Tokens == Patches, "[teacher-tokens] a latent must have as many patches as its teacher has tokens");
};
}  // namespace rule

/// In training the tokens behind block `Block`, counted from 1, are projected through `Hidden` channels to the `Dim` values of a frozen
/// encoder's tokens.
template <int Block, int Dim, int Hidden = 2048> struct Alignment {
  using category = option::alignment;
  static constexpr int block = Block, dim = Dim, hidden = Hidden;
};

namespace layer {

/// REPA's projector: three linear layers with SiLU between them.
template <int Width, int Hidden, int Out> struct Projector {
  Linear<Width, Hidden> first;
  Linear<Hidden, Hidden> second;
  Linear<Hidden, Out> third;

  // The indices are those of the linear layers in the published Sequential, one for each encoder.
  static constexpr void parameters(auto& self, auto&& visit) {
    visit("0.0", self.first);
    visit("0.2", self.second);
    visit("0.4", self.third);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    return third(ctx, second(ctx, first(ctx, x, Activation::silu), Activation::silu));
  }
};

/// Of each token's vectors in x and y, the cosine of their angle; mean over tokens and samples. Lengths and the mean are wide, f32 in a bf16 model; vectors
/// of length 1 and their products are not.
template <class Ctx, AnyValue X, AnyValue Y> auto mean_cosine(Ctx& ctx, const X& x, const Y& y) {
  return ops::mean_all(ctx, ops::multiply(ctx, unit_features(ctx, x), unit_features(ctx, y)));
}

}  // namespace layer

SFUMATO_END
