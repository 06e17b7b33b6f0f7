// Frozen vision encoders, whose patch tokens are a latent space: DINOv2 with registers (Darcet et al. 2024), SigLIP2 (Tschannen et al.
// 2025) and MAE (He et al. 2022), as RAE (arXiv 2510.11690) uses them. Official weights: train/official_names.hpp. What freezes them is
// how they are called: by Run, or by Record with null gradients.
#pragma once

#include <sfumato/nn/embeddings.hpp>
#include <sfumato/nn/resample.hpp>
#include <sfumato/nn/transformer.hpp>

#include <array>

SFUMATO_BEGIN

/// By channel, of images in [0, 1].
struct ImageNetColours {
  static constexpr std::array<double, 3> mean{0.485, 0.456, 0.406}, deviation{0.229, 0.224, 0.225};
};
struct HalfColours {
  static constexpr std::array<double, 3> mean{0.5, 0.5, 0.5}, deviation{0.5, 0.5, 0.5};
};

/// What an encoder sees: the image's side, its patches, the grid that its position table was made for and how that is resampled, and
/// the colours it was trained on.
template <int Size, int Patch, int StoredGrid = Size / Patch, Cubic Resampling = Cubic::plain, class ColourLaw = ImageNetColours> struct EncoderInput
    : private rule::PatchDividesImage<Size, Patch> {
  using Colours = ColourLaw;
  static constexpr int size = Size, patch = Patch, grid = Size / Patch, tokens = grid * grid, stored_grid = StoredGrid, channels = int(Colours::mean.size());
  static constexpr Cubic resampling = Resampling;
};

/// Patches and positions, a class token and registers in front, a Transformer, a last norm without weight and bias; out come the
/// patches' tokens, each of mean 0 and mean square 1. `Norm` is the last norm.
template <class Input, class Trunk, class Norm, bool ClassToken, int Registers = 0> struct VisionEncoder {
  static constexpr int width = Trunk::width, tokens = Input::tokens, token_dim = width, prefix = (ClassToken ? 1 : 0) + Registers;
  static constexpr int positions = Input::stored_grid * Input::stored_grid + (ClassToken ? 1 : 0);
  using ImageShape = Shape<dynamic, Input::channels, Input::size, Input::size>;
  template <int N> using Tokens = std::conditional_t<(N > 0), Param<Shape<1, (N > 0 ? N : 1), width>, init::Normal02>, None>;

  layer::PatchEmbedding<Input::channels, Input::patch, width, 0> patch_embed;
  Tokens<ClassToken ? 1 : 0> cls_token;
  Tokens<Registers> register_tokens;
  Param<std::conditional_t<ClassToken, Shape<1, positions, width>, Shape<positions, width>>, init::Normal02> pos_embed;
  Trunk trunk;
  typename Norm::template Layer<width> norm;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("patch_embed", self.patch_embed);
    visit("cls_token", self.cls_token);
    visit("register_tokens", self.register_tokens);
    visit("pos_embed", self.pos_embed);
    visit("", self.trunk);
    visit("norm", self.norm);
  }

  /// Images in [0, 1], (batch, channels, side, side) of any side, to tokens (batch, tokens, width), row by row.
  template <class Ctx, AnyValue X> constexpr auto encode(Ctx& ctx, const X& images) const {
    using C = typename Input::Colours;
    std::array<double, std::size_t(Input::channels)> scale{}, shift{};
    for (std::size_t c = 0; c < scale.size(); ++c) scale[c] = 1 / C::deviation[c], shift[c] = -C::mean[c] / C::deviation[c];
    return (*this)(ctx, ops::channel_affine(ctx, layer::resize<Cubic::plain, Input::size>(ctx, images), scale, shift));
  }
  /// The same of images that are of the encoder's size and normalised by its colours.
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images) const {
    require<rule::SameShape<VisionEncoder, typename X::shape, ImageShape>>();
    const auto table = ops::parameter<Shape<positions, width>>(ctx, pos_embed, 1);
    const auto grid = layer::resize_positions<Input::resampling, Input::stored_grid, Input::grid>(ctx, ops::slice<0, ClassToken ? 1 : 0, positions>(ctx, table));
    const auto patches = ops::add_value(ctx, patch_embed(ctx, images), grid);
    const auto seen = [&] {
      if constexpr (prefix == 0) {
        return patches;
      } else {
        const auto in_front = [&] {
          if constexpr (ClassToken) {
            const auto cls = ops::add_value(ctx, ops::parameter<Shape<dynamic, 1, width>>(ctx, cls_token, images.batch), ops::slice<0, 0, 1>(ctx, table));
            if constexpr (Registers > 0) return ops::concat<axis::tokens>(ctx, cls, ops::parameter<Shape<dynamic, Registers, width>>(ctx, register_tokens, images.batch));
            else return cls;
          } else {
            return ops::parameter<Shape<dynamic, Registers, width>>(ctx, register_tokens, images.batch);
          }
        }();
        return ops::concat<axis::tokens>(ctx, in_front, patches);
      }
    }();
    const auto out = trunk(ctx, seen);
    if constexpr (prefix == 0) return norm(ctx, out);
    else return norm(ctx, ops::slice<axis::tokens, prefix, prefix + tokens>(ctx, out));
  }
};

/// DINOv2 with registers, for images of 224 pixels (16 x 16 tokens) or 448 (32 x 32).
template <int Width, int Depth, int Size = 224> using DINOv2 =
    VisionEncoder<EncoderInput<Size, 14, 37, Cubic::antialiased>, Transformer<Width, Depth, LayerNorm, GELU, Heads<Width / 64>, LayerScale<std::ratio<1>>>, LayerNormNoAffine, true, 4>;
template <int Size = 224> using DINOv2_S = DINOv2<384, 12, Size>;
template <int Size = 224> using DINOv2_B = DINOv2<768, 12, Size>;
template <int Size = 224> using DINOv2_L = DINOv2<1024, 24, Size>;

/// SigLIP2's vision tower, without its pooling head.
using SigLIP2_B = VisionEncoder<EncoderInput<256, 16, 16, Cubic::plain, HalfColours>, Transformer<768, 12, LayerNorm, GELUTanh>, LayerNormNoAffine, false>;

/// MAE's encoder on whole images; its layer norms add 1e-12 (Hugging Face's port).
using MAE_B = VisionEncoder<EncoderInput<256, 16, 14>, Transformer<768, 12, LayerNormPolicy<true, std::ratio<1, 1'000'000'000'000>>, GELU>,
                            LayerNormPolicy<false, std::ratio<1, 1'000'000'000'000>>, true>;

SFUMATO_END
