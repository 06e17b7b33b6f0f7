// A linear classifier on features that somebody else made.
#pragma once

#include <sfumato/nn/layers.hpp>

SFUMATO_BEGIN

/// Logits of features (batch, Width): (batch, Classes). Starts at zero, so that what it learns depends on the order of samples alone.
template <int Width, int Classes> struct LinearProbe {
  using FeatureShape = Shape<dynamic, Width>;
  layer::Linear<Width, Classes, true, init::Zero> linear;

  static constexpr void parameters(auto& self, auto&& visit) { visit("linear", self.linear); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& features) const { return linear(ctx, features); }
};

SFUMATO_END
