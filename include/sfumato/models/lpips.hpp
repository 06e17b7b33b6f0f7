// LPIPS, the perceptual distance of Zhang et al. 2018, on VGG16's features (Simonyan and Zisserman 2015). Parameter names are those of the
// lpips package's whole module.
#pragma once

#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/nn/convolution.hpp>
#include <sfumato/ops/loss.hpp>

#include <tuple>

SFUMATO_BEGIN

namespace layer {

/// relu of a 3 x 3 convolution: (batch, side^2, In) to (batch, side^2, Out).
template <int In, int Out> struct VGGConvolution : Convolution<In, Out> {
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return ops::relu(ctx, Convolution<In, Out>::operator()(ctx, x)); }
};

/// The weights of channels in a distance: none is negative in the published ones.
template <int Width> struct ChannelWeights {
  Param<Shape<1, Width, 1, 1>, init::One> weight;
  static constexpr void parameters(auto& self, auto&& visit) { visit("model.1.weight", self.weight); }
};

}  // namespace layer

/// VGG16's convolutions in five slices, each after the first behind a pooling of 2 x 2; `Width` of the first, 64 in the published one.
template <int Width = 64> struct VGG16 {
  template <int In, int Out> using Convolution = layer::VGGConvolution<In, Out>;

  Convolution<3, Width> c0;
  Convolution<Width, Width> c2;
  Convolution<Width, 2 * Width> c5;
  Convolution<2 * Width, 2 * Width> c7;
  Convolution<2 * Width, 4 * Width> c10;
  Convolution<4 * Width, 4 * Width> c12, c14;
  Convolution<4 * Width, 8 * Width> c17;
  Convolution<8 * Width, 8 * Width> c19, c21, c24, c26, c28;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("slice1.0", self.c0);
    visit("slice1.2", self.c2);
    visit("slice2.5", self.c5);
    visit("slice2.7", self.c7);
    visit("slice3.10", self.c10);
    visit("slice3.12", self.c12);
    visit("slice3.14", self.c14);
    visit("slice4.17", self.c17);
    visit("slice4.19", self.c19);
    visit("slice4.21", self.c21);
    visit("slice5.24", self.c24);
    visit("slice5.26", self.c26);
    visit("slice5.28", self.c28);
  }
  /// Images (batch, 3, side, side), scaled as ImageNet's, side a multiple of 16: a tuple of the slices' features, (batch, places, channels).
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images) const {
    const auto pixels = ops::patchify<1, ops::PatchOrder::row_column_channel>(ctx, images);
    const auto f1 = through(ctx, pixels, c0, c2);
    const auto f2 = through(ctx, ops::max_pool(ctx, f1), c5, c7);
    const auto f3 = through(ctx, ops::max_pool(ctx, f2), c10, c12, c14);
    const auto f4 = through(ctx, ops::max_pool(ctx, f3), c17, c19, c21);
    return std::make_tuple(f1, f2, f3, f4, through(ctx, ops::max_pool(ctx, f4), c24, c26, c28));
  }

 private:
  template <class Ctx, AnyValue X, class First, class... Rest> static constexpr auto through(Ctx& ctx, const X& x, const First& first, const Rest&... rest) {
    if constexpr (sizeof...(Rest) == 0) return first(ctx, x);
    else return through(ctx, first(ctx, x), rest...);
  }
};

/// The distance of two images: each place's features brought to length 1, the squares of their differences weighed by channel and added up,
/// averaged over places; summed over the slices.
template <int Width = 64> struct LPIPS {
  VGG16<Width> net;
  layer::ChannelWeights<Width> lin0;
  layer::ChannelWeights<2 * Width> lin1;
  layer::ChannelWeights<4 * Width> lin2;
  layer::ChannelWeights<8 * Width> lin3, lin4;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("net", self.net);
    visit("lin0", self.lin0);
    visit("lin1", self.lin1);
    visit("lin2", self.lin2);
    visit("lin3", self.lin3);
    visit("lin4", self.lin4);
  }
  /// x, y: (batch, 3, side, side) in [-1, 1]. The mean over samples, a wide scalar.
  template <class Ctx, AnyValue X, AnyValue Y> constexpr auto operator()(Ctx& ctx, const X& x, const Y& y) const {
    const auto of_x = net(ctx, scaled(ctx, x)), of_y = net(ctx, scaled(ctx, y));
    auto sum = distance(ctx, std::get<0>(of_x), std::get<0>(of_y), lin0);
    sum = ops::add(ctx, sum, distance(ctx, std::get<1>(of_x), std::get<1>(of_y), lin1));
    sum = ops::add(ctx, sum, distance(ctx, std::get<2>(of_x), std::get<2>(of_y), lin2));
    sum = ops::add(ctx, sum, distance(ctx, std::get<3>(of_x), std::get<3>(of_y), lin3));
    return ops::add(ctx, sum, distance(ctx, std::get<4>(of_x), std::get<4>(of_y), lin4));
  }

 private:
  template <class Ctx, AnyValue X> static constexpr auto scaled(Ctx& ctx, const X& x) {
    constexpr std::array<double, 3> shift{-0.030, -0.088, -0.188}, scale{0.458, 0.448, 0.450};
    std::array<double, 3> gain{}, offset{};
    for (std::size_t c = 0; c < 3; ++c) gain[c] = 1 / scale[c], offset[c] = -shift[c] / scale[c];
    return ops::channel_affine(ctx, x, gain, offset);
  }
  template <class Ctx, AnyValue X, AnyValue Y, class Lin> static constexpr auto distance(Ctx& ctx, const X& x, const Y& y, const Lin& lin) {
    constexpr int width = width_of<typename X::shape>;
    const auto d = ops::subtract(ctx, layer::unit_features(ctx, x), layer::unit_features(ctx, y));
    return ops::scale(ctx, 1.0 / width, ops::mean_all(ctx, ops::linear(ctx, ops::multiply(ctx, d, d), lin.weight, None{})));
  }
};

SFUMATO_END
