// How far apart two images are for a network that has seen many.
#pragma once

#include <sfumato/models/lpips.hpp>
#include <sfumato/train/weights.hpp>

SFUMATO_BEGIN

/// mean |x - y|, of two values of one shape; a wide scalar.
template <class Ctx, AnyValue X, AnyValue Y> auto l1_distance(Ctx& ctx, const X& x, const Y& y) { return ops::mean_all(ctx, ops::activation(ctx, ops::subtract(ctx, x, y), ops::Abs{})); }

/// Squared distance of the features of a frozen network, each place's scaled to length 1, summed over channels, averaged over places and
/// samples, added up over the blocks `Blocks`: LPIPS (Zhang et al. 2018) before its channels are weighed, for networks of one's own. `Net`
/// has `taps<Blocks...>(ctx, images)`: Classifier, VisionEncoder.
template <class Net, Backend B, Element E, int... Blocks> requires (sizeof...(Blocks) > 0) struct FeatureDistance {
  const Weights<Net, B, E>* net = nullptr;  ///< outlives the distance

  /// Throws Error("objective-options") without a network.
  void validate() const { check(net != nullptr, "objective-options", "a perceptual distance needs the network whose features it compares, found none"); }
  template <class Visit> void for_each_option(Visit&& visit) const {
    std::string blocks;
    ((blocks += text(blocks.empty() ? "" : ",", Blocks)), ...);
    visit("distance.blocks", blocks);
    visit("distance.weights", detail::fingerprint(*net));
  }
  /// x, y: images in [-1, 1]. A wide scalar; its gradient flows to x alone.
  template <class Ctx, AnyValue X, AnyValue Y> auto operator()(Ctx& ctx, const X& x, const Y& y) const {
    auto frozen = ctx.frozen(net->values());
    const auto features = [&](const auto& images) {
      if constexpr (requires { net->model().template normalise<Range::signed_unit>(frozen, images); })
        return net->model().template taps<Blocks...>(frozen, net->model().template normalise<Range::signed_unit>(frozen, images));
      else return net->model().template taps<Blocks...>(frozen, images);
    };
    // The mean over channels of their squared difference is the sum over those of unit vectors.
    const auto distance = [&](const auto& a, const auto& b) { return ops::mse(ctx, layer::unit_features(ctx, a), layer::unit_features(ctx, b)); };
    const auto of_x = features(x), of_y = features(ops::stop_gradient(ctx, y));
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      auto sum = distance(std::get<0>(of_x), std::get<0>(of_y));
      ((sum = ops::add(ctx, sum, distance(std::get<I + 1>(of_x), std::get<I + 1>(of_y)))), ...);
      return sum;
    }(std::make_index_sequence<sizeof...(Blocks) - 1>{});
  }
};

/// LPIPS as a decoder's `Distance`, with weights that are read from files.
template <class Model, Backend B, Element E> struct PerceptualDistance {
  const Weights<Model, B, E>* net = nullptr;  ///< outlives the distance

  /// As FeatureDistance's.
  void validate() const { check(net != nullptr, "objective-options", "a perceptual distance needs the network whose features it compares, found none"); }
  template <class Visit> void for_each_option(Visit&& visit) const { visit("distance.weights", detail::fingerprint(*net)); }
  /// x, y: images in [-1, 1]. A wide scalar; its gradient flows to x alone.
  template <class Ctx, AnyValue X, AnyValue Y> auto operator()(Ctx& ctx, const X& x, const Y& y) const {
    auto frozen = ctx.frozen(net->values());
    return net->model()(frozen, x, ops::stop_gradient(ctx, y));
  }
};

SFUMATO_END
