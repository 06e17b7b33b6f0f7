// A small vision Transformer that names an image's class; its features and predictions score generated images.
#pragma once

#include <sfumato/nn/image_patches.hpp>
#include <sfumato/nn/transformer.hpp>

SFUMATO_BEGIN

/// Patches, a learned position embedding, a Transformer without condition, the mean of its normed tokens, one linear layer.
/// `Input` is a type with size, channels, patch, classes, grid, tokens and token_dim (ImagePatches).
template <class Input, class Trunk> struct Classifier {
  static constexpr int width = Trunk::width, classes = Input::classes;
  using ImageShape = Shape<dynamic, Input::channels, Input::size, Input::size>;

  layer::PatchEmbedding<Input::channels, Input::patch, width, 0> patch_embed;
  Param<Shape<1, Input::tokens, width>, init::Normal02> pos_embed;
  Trunk trunk;
  typename Trunk::norm::template Layer<width> norm;
  layer::Linear<width, classes> head;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("patch_embed", self.patch_embed);
    visit("pos_embed", self.pos_embed);
    visit("", self.trunk);
    visit("norm", self.norm);
    visit("head", self.head);
  }

  /// (batch, channels, size, size) to (batch, width).
  template <class Ctx, AnyValue X> constexpr auto features(Ctx& ctx, const X& images) const {
    return ops::mean<axis::tokens>(ctx, norm(ctx, trunk(ctx, embed(ctx, images))));
  }
  /// What each of the trunk's blocks `After` makes of images: a tuple of (batch, tokens, width).
  template <int... After, class Ctx, AnyValue X> constexpr auto taps(Ctx& ctx, const X& images) const { return trunk.template taps<After...>(ctx, embed(ctx, images)); }
  /// (batch, channels, size, size) to logits (batch, classes).
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images) const { return head(ctx, features(ctx, images)); }

 private:
  template <class Ctx, AnyValue X> constexpr auto embed(Ctx& ctx, const X& images) const {
    require<rule::SameShape<Classifier, typename X::shape, ImageShape>>();
    return ops::add_parameter(ctx, patch_embed(ctx, images), pos_embed);
  }
};

SFUMATO_END
