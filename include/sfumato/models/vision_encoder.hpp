// Frozen vision encoders, whose patch tokens are a latent space: DINOv2 with registers (Darcet et al. 2024), SigLIP2 (Tschannen et al.
// 2025) and MAE (He et al. 2022), as RAE (arXiv 2510.11690) uses them. Official weights: train/official_names.hpp. What freezes them is
// how they are called: by Run, or by Record with null gradients.
#pragma once

#include <sfumato/nn/embeddings.hpp>
#include <sfumato/nn/resample.hpp>
#include <sfumato/nn/transformer.hpp>

#include <array>

SFUMATO_BEGIN

/// Of image values: [0, 1], or [-1, 1], as training samples have it.
enum class Range { unit, signed_unit };

/// By channel, of images in [0, 1].
struct ImageNetColours {
  static constexpr std::array<double, 3> mean{0.485, 0.456, 0.406}, deviation{0.229, 0.224, 0.225};
};
struct HalfColours {
  static constexpr std::array<double, 3> mean{0.5, 0.5, 0.5}, deviation{0.5, 0.5, 0.5};
};

/// Of grey images: normalised they are in [-1, 1].
struct GreyColours {
  static constexpr std::array<double, 1> mean{0.5}, deviation{0.5};
};

/// What an encoder sees: the image's side, its patches, the grid that its position table was made for and how that is resampled, and
/// the colours it was trained on.
template <int Size, int Patch, int StoredGrid = Size / Patch, Interpolation Resampling = Interpolation::cubic, class ColourLaw = ImageNetColours> struct EncoderInput
    : private rule::PatchDividesImage<Size, Patch> {
  using Colours = ColourLaw;
  static constexpr int size = Size, patch = Patch, grid = Size / Patch, tokens = grid * grid, stored_grid = StoredGrid, channels = int(Colours::mean.size());
  static constexpr Interpolation resampling = Resampling;
};

/// Patches and positions, a class token and registers in front, a Transformer, a last norm without weight and bias; out come the
/// patches' tokens, each of mean 0 and mean square 1. `Norm` is the last norm.
template <class Input, class Trunk, class Norm, bool ClassToken, int Registers = 0> struct VisionEncoder {
  static constexpr int width = Trunk::width, grid = Input::grid, stored_grid = Input::stored_grid, tokens = Input::tokens, token_dim = width, patch = Input::patch, patch_values = Input::channels * patch * patch;
  using Colours = typename Input::Colours;
  static constexpr bool rotary = Trunk::rotary;
  static constexpr int prefix = (ClassToken ? 1 : 0) + Registers;
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
  template <class Ctx, AnyValue X> constexpr auto encode(Ctx& ctx, const X& images) const { return (*this)(ctx, normalise<Range::unit>(ctx, images)); }
  /// Images of any side, in [0, 1] or, as training samples are, in [-1, 1], to the encoder's side and colours.
  template <Range R, Interpolation Kind = Interpolation::cubic, class Ctx, AnyValue X> constexpr auto normalise(Ctx& ctx, const X& images) const {
    using C = typename Input::Colours;
    constexpr double gain = R == Range::unit ? 1 : 0.5, offset = R == Range::unit ? 0 : 0.5;
    std::array<double, std::size_t(Input::channels)> scale{}, shift{};
    for (std::size_t c = 0; c < scale.size(); ++c) scale[c] = gain / C::deviation[c], shift[c] = (offset - C::mean[c]) / C::deviation[c];
    return ops::channel_affine(ctx, layer::resize<Kind, Input::size>(ctx, images), scale, shift);
  }
  /// Tokens of normalised images.
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& images) const { return encode_patches(ctx, embed(ctx, images)); }
  /// Normalised images to patches with their positions, (batch, tokens, width).
  template <class Ctx, AnyValue X> constexpr auto embed(Ctx& ctx, const X& images) const {
    require<rule::SameShape<VisionEncoder, typename X::shape, ImageShape>>();
    const auto table = ops::parameter<Shape<positions, width>>(ctx, pos_embed, 1);
    const auto places = layer::resize_positions<Input::resampling, Input::stored_grid, Input::grid>(ctx, ops::slice<0, ClassToken ? 1 : 0, positions>(ctx, table));
    return ops::add_value(ctx, patch_embed(ctx, images), places);
  }
  /// Patches with their positions, all or some, to their tokens.
  template <class Ctx, AnyValue X> constexpr auto encode_patches(Ctx& ctx, const X& patches) const {
    return norm(ctx, patches_of(ctx, trunk(ctx, with_prefix(ctx, patches))));
  }
  /// The class token in front of the patches' tokens, (batch, 1 + tokens, width), all of them normed. An encoder that has none gives the mean of its
  /// patches' tokens, normed again (REG, table 3, where that does almost as well).
  template <class Ctx, AnyValue X> constexpr auto with_class_token(Ctx& ctx, const X& images) const {
    const auto seen = trunk(ctx, with_prefix(ctx, embed(ctx, images)));
    if constexpr (ClassToken) {
      return norm(ctx, ops::concat<axis::tokens>(ctx, ops::slice<axis::tokens, 0, 1>(ctx, seen), patches_of(ctx, seen)));
    } else {
      const auto patches = norm(ctx, patches_of(ctx, seen));
      return ops::concat<axis::tokens>(ctx, ops::reshape<Shape<dynamic, 1, width>>(ctx, norm(ctx, ops::mean<axis::tokens>(ctx, patches))), patches);
    }
  }
  /// What each of the blocks `After`, ascending, makes of normalised images' patches: a tuple of (batch, tokens, width), without the
  /// last norm.
  template <int... After, class Ctx, AnyValue X> constexpr auto taps(Ctx& ctx, const X& images) const {
    return std::apply([&](const auto&... seen) { return std::make_tuple(patches_of(ctx, seen)...); }, trunk.template taps<After...>(ctx, with_prefix(ctx, embed(ctx, images))));
  }

 private:
  template <class Ctx, AnyValue X> constexpr auto patches_of(Ctx& ctx, const X& seen) const {
    if constexpr (prefix == 0) return seen;
    else return ops::slice<axis::tokens, prefix, extent<typename X::shape, axis::tokens>>(ctx, seen);
  }
  /// Class token and registers in front.
  template <class Ctx, AnyValue X> constexpr auto with_prefix(Ctx& ctx, const X& patches) const {
    const auto registers = [&](auto& c) { return ops::parameter<Shape<dynamic, Registers, width>>(c, register_tokens, patches.batch); };
    if constexpr (prefix == 0) {
      return patches;
    } else if constexpr (!ClassToken) {
      return ops::concat<axis::tokens>(ctx, registers(ctx), patches);
    } else {
      const auto place = ops::slice<0, 0, 1>(ctx, ops::parameter<Shape<positions, width>>(ctx, pos_embed, 1));
      const auto cls = ops::add_value(ctx, ops::parameter<Shape<dynamic, 1, width>>(ctx, cls_token, patches.batch), place);
      if constexpr (Registers == 0) return ops::concat<axis::tokens>(ctx, cls, patches);
      else return ops::concat<axis::tokens>(ctx, ops::concat<axis::tokens>(ctx, cls, registers(ctx)), patches);
    }
  }
};

/// DINOv2 with registers, for images of 224 pixels (16 x 16 tokens) or 448 (32 x 32).
template <int Width, int Depth, int Size = 224> using DINOv2 =
    VisionEncoder<EncoderInput<Size, 14, 37, Interpolation::cubic_antialiased>, Transformer<Width, Depth, LayerNorm, GELU, Heads<Width / 64>, LayerScale<std::ratio<1>>>, LayerNormNoAffine, true, 4>;
template <int Size = 224> using DINOv2_S = DINOv2<384, 12, Size>;
template <int Size = 224> using DINOv2_B = DINOv2<768, 12, Size>;
template <int Size = 224> using DINOv2_L = DINOv2<1024, 24, Size>;

/// DINOv2 ViT-B/14 without registers (Oquab et al. 2023) and with its last norm's weight and bias, as REPA and REG have it for a teacher.
template <int Size = 224> using DINOv2Teacher_B =
    VisionEncoder<EncoderInput<Size, 14, 37, Interpolation::cubic_antialiased>, Transformer<768, 12, LayerNorm, GELU, Heads<12>, LayerScale<std::ratio<1>>>, LayerNorm, true>;

/// SigLIP2's vision tower, without its pooling head.
using SigLIP2_B = VisionEncoder<EncoderInput<256, 16, 16, Interpolation::cubic, HalfColours>, Transformer<768, 12, LayerNorm, GELUTanh>, LayerNormNoAffine, false>;

/// DINO's ViT-S/8 (Caron et al. 2021) as RAE's discriminator has it, under its own published names. The published code also sets the keys' biases
/// to zero, which changes nothing: they add the same number to all of a query's scores.
using DINO_S8 = VisionEncoder<EncoderInput<224, 8>, Transformer<384, 12, LayerNorm, GELUTanh, Heads<6>>, LayerNorm, true>;

/// MAE's encoder on whole images; its layer norms add 1e-12 (Hugging Face's port).
using MAE_B = VisionEncoder<EncoderInput<256, 16, 14>, Transformer<768, 12, LayerNormPolicy<true, std::ratio<1, 1'000'000'000'000>>, GELU>,
                            LayerNormPolicy<false, std::ratio<1, 1'000'000'000'000>>, true>;

SFUMATO_END
