// The variational autoencoder of latent diffusion (Rombach et al., arXiv 2112.10752): convolutions that take an image to a Gaussian over
// latents, and latents to an image. Parameter names are those of diffusers; others': train/official_names.hpp.
#pragma once

#include <sfumato/nn/convolution.hpp>

#include <array>
#include <tuple>
#include <utility>

SFUMATO_BEGIN

/// Channels of an autoencoder's stages, from pixels to latents; between two of them the side is halved.
template <int... Widths> struct Stages {
  static constexpr int count = sizeof...(Widths), factor = count > 0 ? 1 << (count - 1) : 1;
  static constexpr std::array<int, sizeof...(Widths)> widths{Widths...};
};

namespace rule {
template <int Size, int Factor> struct StagesDivideImage {
  static_assert(Size % Factor == 0, "[stages-divide-image] each stage but the last halves the image's side");
};
template <int Stages, int Layers> struct StagesGiven {
  static_assert(Stages > 0, "[stages-given] an autoencoder has at least one stage");
  static_assert(Layers > 0, "[stages-given] a stage has at least one layer");
};
}  // namespace rule

namespace layer {

/// To half the side. The published padding is of one row below and one column on the right.
template <int Width> struct Downsample {
  static constexpr const char* name = "downsamplers.0";
  Convolution<Width, Width, 3, 2> conv;
  static constexpr void parameters(auto& self, auto&& visit) { visit("conv", self.conv); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return conv(ctx, x); }
};
/// To twice the side.
template <int Width> struct Upsample {
  static constexpr const char* name = "upsamplers.0";
  Convolution<Width, Width> conv;
  static constexpr void parameters(auto& self, auto&& visit) { visit("conv", self.conv); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return conv(ctx, ops::upsample_nearest<2>(ctx, x)); }
};

/// What each part of a tuple makes of what the one before it made of x.
template <std::size_t At = 0, class Ctx, AnyValue X, class... Parts> constexpr auto through(Ctx& ctx, const X& x, const std::tuple<Parts...>& parts) {
  if constexpr (At == sizeof...(Parts)) return x;
  else return through<At + 1>(ctx, std::get<At>(parts)(ctx, x), parts);
}

/// `Layers` blocks, the first of which changes the width, then `Resize`, or None.
template <int In, int Out, int Layers, int Groups, class Resize> struct ResnetStage {
  template <int... I> static std::tuple<ResnetBlock<(I == 0 ? In : Out), Out, Groups>...> blocks(std::integer_sequence<int, I...>);
  decltype(blocks(std::make_integer_sequence<int, Layers>{})) resnets;
  Resize resize;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    if constexpr (!is_none<Resize>) visit(Resize::name, self.resize);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    const auto seen = through(ctx, x, resnets);
    if constexpr (is_none<Resize>) return seen;
    else return resize(ctx, seen);
  }
};

/// Two blocks with attention between them.
template <int Width, int Groups> struct ResnetMiddle {
  std::array<ResnetBlock<Width, Width, Groups>, 2> resnets;
  std::array<PlaceAttention<Width, Groups>, 1> attentions;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("attentions", self.attentions);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return resnets[1](ctx, attentions[0](ctx, resnets[0](ctx, x))); }
};

/// Pixels (batch, side^2, Channels) to (batch, (side / 2^(stages - 1))^2, Out).
template <int Channels, int Out, class Widths, int Layers, int Groups> struct ResnetEncoder {
  static constexpr int last = Widths::count - 1, narrow = Widths::widths[0], wide = Widths::widths[last];
  template <int I> using Stage = ResnetStage<Widths::widths[I > 0 ? I - 1 : 0], Widths::widths[I], Layers, Groups, std::conditional_t<(I < last), Downsample<Widths::widths[I]>, None>>;
  template <int... I> static std::tuple<Stage<I>...> stages(std::integer_sequence<int, I...>);

  Convolution<Channels, narrow> conv_in;
  decltype(stages(std::make_integer_sequence<int, Widths::count>{})) down_blocks;
  ResnetMiddle<wide, Groups> mid_block;
  GroupNorm<wide, Groups> conv_norm_out;
  Convolution<wide, Out> conv_out;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("down_blocks", self.down_blocks);
    visit("mid_block", self.mid_block);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    return conv_out(ctx, ops::silu(ctx, conv_norm_out(ctx, mid_block(ctx, through(ctx, conv_in(ctx, x), down_blocks)))));
  }
};
/// The way back, with one block more in each stage.
template <int Channels, int In, class Widths, int Layers, int Groups> struct ResnetDecoder {
  static constexpr int last = Widths::count - 1, narrow = Widths::widths[0], wide = Widths::widths[last];
  static constexpr int width(int stage) { return Widths::widths[std::size_t(last - (stage > 0 ? stage : 0))]; }
  template <int I> using Stage = ResnetStage<width(I - 1), width(I), Layers + 1, Groups, std::conditional_t<(I < last), Upsample<width(I)>, None>>;
  template <int... I> static std::tuple<Stage<I>...> stages(std::integer_sequence<int, I...>);

  Convolution<In, wide> conv_in;
  ResnetMiddle<wide, Groups> mid_block;
  decltype(stages(std::make_integer_sequence<int, Widths::count>{})) up_blocks;
  GroupNorm<narrow, Groups> conv_norm_out;
  Convolution<narrow, Channels> conv_out;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("up_blocks", self.up_blocks);
    visit("mid_block", self.mid_block);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    return conv_out(ctx, ops::silu(ctx, conv_norm_out(ctx, through(ctx, mid_block(ctx, conv_in(ctx, x)), up_blocks))));
  }
};

}  // namespace layer

/// A Gaussian for each latent's value: (batch, channels, side, side) each. The logarithm of the variance is within [-30, 20].
template <AnyValue V> struct Posterior {
  V mean, log_variance;

  template <class Ctx> constexpr V deviation(Ctx& ctx) const { return ops::activation(ctx, log_variance, ops::HalfExp{}); }
  /// The Kullback-Leibler divergence from N(0, 1), mean over all values, in nats; a wide scalar.
  template <class Ctx> constexpr auto divergence(Ctx& ctx) const {
    return ops::scale(ctx, 0.5, ops::add(ctx, ops::mean_all(ctx, ops::multiply(ctx, mean, mean)), ops::mean_all(ctx, ops::activation(ctx, log_variance, ops::ExpExcess{}))));
  }
};

/// Square images of `Size` pixels and `Channels` colours, latents of `LatentChannels`; `Widths` is a Stages; `Layers` blocks in each stage of the
/// encoder, one more in those of the decoder; norms over `Groups` groups of channels.
template <int Size, int Channels, int LatentChannels, class Widths, int Layers = 2, int Groups = 32> struct AutoencoderKL
    : private rule::StagesGiven<Widths::count, Layers>, private rule::StagesDivideImage<Size, Widths::factor> {
  static constexpr int size = Size, channels = Channels, latent_channels = LatentChannels, factor = Widths::factor, latent_size = Size / factor;
  using ImageShape = Shape<dynamic, Channels, Size, Size>;
  using LatentShape = Shape<dynamic, LatentChannels, latent_size, latent_size>;

  layer::ResnetEncoder<Channels, 2 * LatentChannels, Widths, Layers, Groups> encoder;
  layer::ResnetDecoder<Channels, LatentChannels, Widths, Layers, Groups> decoder;
  layer::Convolution<2 * LatentChannels, 2 * LatentChannels, 1> quant_conv;
  layer::Convolution<LatentChannels, LatentChannels, 1> post_quant_conv;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("encoder", self.encoder);
    visit("decoder", self.decoder);
    visit("quant_conv", self.quant_conv);
    visit("post_quant_conv", self.post_quant_conv);
  }

  /// Images in [-1, 1], of ImageShape, to a Gaussian over latents, not yet at the scale of diffusion.
  template <class Ctx, AnyValue X> constexpr auto encode(Ctx& ctx, const X& images) const {
    require<rule::SameShape<AutoencoderKL, typename X::shape, ImageShape>>();
    const auto moments = from_places(ctx, quant_conv(ctx, encoder(ctx, to_places(ctx, images))));
    const auto mean = ops::slice<1, 0, LatentChannels>(ctx, moments);
    using V = std::remove_const_t<decltype(mean)>;
    return Posterior<V>{mean, ops::activation(ctx, ops::slice<1, LatentChannels, 2 * LatentChannels>(ctx, moments), ops::Clamp<-30, 20>{})};
  }
  /// Latents of LatentShape, as `encode` has them, to images.
  template <class Ctx, AnyValue Z> constexpr auto decode(Ctx& ctx, const Z& latents) const {
    require<rule::SameShape<AutoencoderKL, typename Z::shape, LatentShape>>();
    return from_places(ctx, decoder(ctx, post_quant_conv(ctx, to_places(ctx, latents))));
  }

  // On symbols, for `cost_of`: of the whole, and of each half.

  struct Encode {
    AutoencoderKL model;
    static constexpr void parameters(auto& self, auto&& visit) {
      visit("encoder", self.model.encoder);
      visit("quant_conv", self.model.quant_conv);
    }
    constexpr auto operator()(Count& count, Index batch) const { return model.encode(count, Count::input<ImageShape>(batch)).mean; }
  };
  struct Decode {
    AutoencoderKL model;
    static constexpr void parameters(auto& self, auto&& visit) {
      visit("decoder", self.model.decoder);
      visit("post_quant_conv", self.model.post_quant_conv);
    }
    constexpr auto operator()(Count& count, Index batch) const { return model.decode(count, Count::input<LatentShape>(batch)); }
  };
  constexpr auto operator()(Count& count, Index batch) const { return decode(count, encode(count, Count::input<ImageShape>(batch)).mean); }

 private:
  template <class Ctx, AnyValue X> static constexpr auto to_places(Ctx& ctx, const X& x) { return ops::patchify<1, ops::PatchOrder::row_column_channel>(ctx, x); }
  template <class Ctx, AnyValue X> static constexpr auto from_places(Ctx& ctx, const X& x) {
    return ops::unpatchify<1, width_of<typename X::shape>, ops::PatchOrder::row_column_channel>(ctx, x);
  }
};

/// Stable Diffusion's, for images of `Size` pixels: eight pixels to a latent's side, of four channels. Its published weights, sd-vae-ft-mse and
/// sd-vae-ft-ema, differ in the decoder alone.
template <int Size = 256> using StableDiffusionVAE = AutoencoderKL<Size, 3, 4, Stages<128, 256, 512, 512>>;

SFUMATO_END
