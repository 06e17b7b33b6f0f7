// A vision Transformer that classifies by its class token (Dosovitskiy et al. 2021), with timm's parameter names.
#pragma once

#include <sfumato/nn/image_patches.hpp>
#include <sfumato/nn/transformer.hpp>

namespace mine {

using namespace sfumato;

/// `Input` is an ImagePatches, `Trunk` a Transformer without condition.
template <class Input, class Trunk> struct VisionTransformer {
  static constexpr int width = Trunk::width, classes = Input::classes;
  using ImageShape = Shape<dynamic, Input::channels, Input::size, Input::size>;

  Param<Shape<1, 1, width>, init::Normal02> cls_token;
  Param<Shape<1, Input::tokens + 1, width>, init::Normal02> pos_embed;
  layer::PatchEmbedding<Input::channels, Input::patch, width, 0> patch_embed;
  Trunk trunk;
  typename Trunk::norm::template Layer<width> norm;
  layer::Linear<width, classes> head;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("cls_token", self.cls_token);
    visit("pos_embed", self.pos_embed);
    visit("patch_embed", self.patch_embed);
    visit("", self.trunk);
    visit("norm", self.norm);
    visit("head", self.head);
  }

  /// Images (batch, channels, size, size) to logits (batch, classes).
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images) const {
    const auto token = ops::parameter<Shape<dynamic, 1, width>>(ctx, cls_token, images.batch);
    const auto tokens = ops::concat<axis::tokens>(ctx, token, patch_embed(ctx, images));
    const auto seen = norm(ctx, trunk(ctx, ops::add_parameter(ctx, tokens, pos_embed)));
    return head(ctx, ops::reshape<Shape<dynamic, width>>(ctx, ops::slice<axis::tokens, 0, 1>(ctx, seen)));
  }
};

}  // namespace mine
