// SiT, a diffusion Transformer on an autoencoder's latents (Ma et al. 2024, arXiv 2401.08740): plain, with its tokens aligned to a frozen encoder's
// (REPA: Yu et al., arXiv 2410.06940), and with that encoder's class token noised into its sequence (REG: Wu et al., arXiv 2507.01467). Where
// REG's paper and code differ this follows the code. Parameter names are those of the published PyTorch checkpoints.
#pragma once

#include <sfumato/nn/alignment.hpp>
#include <sfumato/nn/head.hpp>
#include <sfumato/nn/image_patches.hpp>

SFUMATO_BEGIN

namespace option {
struct class_token;
}  // namespace option

/// A class token of `Dim` values, as a frozen encoder gives it, is noised and denoised with the image, first in its sequence (REG, section 3).
template <int Dim> struct ClassToken {
  using category = option::class_token;
  static constexpr int dim = Dim;
};

namespace layer {

/// Head<Linear>'s layer with a second linear one for the class token, which starts at zero too.
template <class Trunk, int PatchDim, int ClassDim> struct EntangledHead : sfumato::Linear::Layer<Trunk, PatchDim> {
  std::conditional_t<(ClassDim > 0), Linear<Trunk::width, (ClassDim > 0 ? ClassDim : 1), true, init::Zero>, None> linear_cls;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("norm_final", self.norm_final);
    visit("linear", self.linear);
    visit("linear_cls", self.linear_cls);
    visit("adaLN_modulation", self.modulation);
  }
};

}  // namespace layer

/// `Input` is the ImagePatches of a latent, `Trunk` a Transformer with AdaLNZero. Options: ClassToken<Dim>, Alignment<Block, Dim, Hidden>,
/// Waive<rule>, Require<Rule>.
///
/// With a class token a sample is one row, the latent's elements and then the token's: they are noised and denoised together. FlowObjective takes
/// all of them for equal and knows of no alignment: it is for the plain model.
///
/// REPA's and REG's weights count time from data (0) to noise (1) and predict noise less data; here, as everywhere in the library, 1
/// is data and velocity is data less noise. The model turns both over, so that the weights mean what they meant. SiT's own, whose last
/// layer has twice the outputs, are not of this type.
template <class Input, class Trunk, class... Options> struct SiT {
  static_assert(option::Among<option::class_token, option::alignment, option::waive, option::rules>::template check<Options...>());

  using Aligned = option::find<option::alignment, Alignment<0, 0, 0>, Options...>;
  static constexpr int width = Trunk::width, classes = Input::classes, patches = Input::tokens;
  /// Values of the class token; 0: there is none.
  static constexpr int class_dim = option::find<option::class_token, ClassToken<0>, Options...>::dim;
  static constexpr bool entangled = class_dim > 0, aligned = Aligned::dim > 0;
  static constexpr int tokens = patches + (entangled ? 1 : 0), path_width = width;
  /// Of the widest token.
  static constexpr int token_dim = class_dim > Input::token_dim ? class_dim : Input::token_dim;
  template <class RuleTag> static constexpr bool waives = option::waived<RuleTag, Options...>;

  using LatentShape = Shape<dynamic, Input::channels, Input::size, Input::size>;
  /// Of a sample.
  using ImageShape = std::conditional_t<entangled, Shape<dynamic, int(LatentShape::row) + class_dim>, LatentShape>;
  using Positions = layer::SinCosTable<Input::grid, width, entangled ? 1 : 0>;

  Param<Shape<1, tokens, width>, init::FromTable<Positions>, true> pos_embed;
  layer::PatchEmbedding<Input::channels, Input::patch, width, 0> x_embedder;
  layer::TimeEmbedding<width> t_embedder;
  layer::LabelEmbedding<classes, width> y_embedder;
  Trunk trunk;
  std::conditional_t<aligned, layer::Projector<width, aligned ? Aligned::hidden : 1, aligned ? Aligned::dim : 1>, None> projectors;
  layer::EntangledHead<Trunk, Input::token_dim, class_dim> final_layer;
  std::conditional_t<entangled, layer::Linear<(entangled ? class_dim : 1), width>, None> cls_projectors2;
  std::conditional_t<entangled, LayerNorm::Layer<width>, None> wg_norm;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("pos_embed", self.pos_embed);
    visit("x_embedder", self.x_embedder);
    visit("t_embedder", self.t_embedder);
    visit("y_embedder", self.y_embedder);
    visit("", self.trunk);
    visit("projectors", self.projectors);
    visit("final_layer", self.final_layer);
    visit("cls_projectors2", self.cls_projectors2);
    visit("wg_norm", self.wg_norm);
  }

  /// The velocity of noisy samples z at times t in [0, 1] with labels in [0, classes], `classes` being the null class; of z's shape.
  template <class Ctx, AnyValue Z>
  constexpr auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    return from_data(ctx, z, times, labels, [](const auto&) {});
  }

  /// What `with_projection` returns: the velocity, and the projected tokens (batch, tokens, Dim); where there is a class token it is the first.
  template <class Velocity, class Projection> struct Both {
    Velocity velocity;
    Projection projection;
  };
  /// The same, with what alignment compares: for training.
  template <class Ctx, AnyValue Z>
  constexpr auto with_projection(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const requires aligned {
    Value<Ctx, Shape<dynamic, tokens, Aligned::dim>> projection;
    const auto velocity = from_data(ctx, z, times, labels, [&](const auto& h) { projection = projectors(ctx, ops::narrow(ctx, h)); });
    return Both<std::remove_const_t<decltype(velocity)>, decltype(projection)>{velocity, projection};
  }
  /// On symbols, for `cost_of<SiT<...>>(batch)`, which is inference's.
  constexpr auto operator()(Count& count, Index batch) const {
    const auto n = static_cast<std::size_t>(batch);
    return (*this)(count, Count::input<ImageShape>(batch), std::span(static_cast<const double*>(nullptr), n), std::span(static_cast<const int*>(nullptr), n));
  }

 private:
  static constexpr int latent_size = int(LatentShape::row);

  /// As published: times of noise, from 0 (data) to 1; noise less data. `look` is given the tokens that alignment projects.
  template <class Ctx, AnyValue Z, class Look>
  constexpr auto published(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels, const Look& look) const {
    const auto condition = trunk.activate(ctx, ops::add(ctx, t_embedder(ctx, times), y_embedder(ctx, labels)));
    const auto sequence = ops::add_parameter(ctx, embed(ctx, z), pos_embed);
    return paint(ctx, ops::narrow(ctx, through_trunk(ctx, sequence, condition, look)), condition);
  }
  template <class Ctx, AnyValue Z, class Look>
  constexpr auto from_data(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels, const Look& look) const {
    require<rule::SameShape<SiT, typename Z::shape, ImageShape>>();
    require<rule::TimeSeen<SiT, Trunk::modulated>, rule::LabelSeen<SiT, Trunk::modulated>, rule::ContextGiven<(Trunk::context_tokens > 0), false>>();
    option::find<option::rules, option::Off, Options...>::template check<SiT>();
    if constexpr (aligned) require<rule::AlignmentBlock<Aligned::block, Trunk::depth>>();
    if constexpr (aligned && entangled) require<rule::TeacherWidth<class_dim, Aligned::dim>>();
    if constexpr (Ctx::counting) {
      return published(ctx, z, times, labels, look);
    } else {
      check(Index(times.size()) == z.batch && Index(labels.size()) == z.batch, "batch", "SiT was given ", z.batch, " samples, ", times.size(), " times and ", labels.size(), " labels");
      const auto noise = layer::times_of_noise(ctx, times);
      return ops::scale(ctx, -1, published(ctx, z, std::span<const double>{noise.data(), noise.size()}, labels, look));
    }
  }
  /// Samples to tokens, (batch, tokens, width).
  template <class Ctx, AnyValue Z> constexpr auto embed(Ctx& ctx, const Z& z) const {
    if constexpr (!entangled) {
      return x_embedder(ctx, z);
    } else {
      const auto latent = ops::reshape<LatentShape>(ctx, ops::slice<1, 0, latent_size>(ctx, z));
      const auto class_token = ops::reshape<Shape<dynamic, 1, class_dim>>(ctx, ops::slice<1, latent_size, latent_size + class_dim>(ctx, z));
      return ops::concat<axis::tokens>(ctx, wg_norm(ctx, cls_projectors2(ctx, class_token)), x_embedder(ctx, latent));
    }
  }
  template <class Ctx, AnyValue X, AnyValue C, class Look> constexpr auto through_trunk(Ctx& ctx, const X& sequence, const C& condition, const Look& look) const {
    if constexpr (!aligned) {
      return trunk.template blocks_between<0, Trunk::depth>(ctx, sequence, condition);
    } else {
      constexpr int block = Aligned::block < Trunk::depth ? Aligned::block : Trunk::depth;  // beyond, the rule alone should speak
      const auto early = trunk.template blocks_between<0, block>(ctx, sequence, condition);
      look(early);
      return trunk.template blocks_between<block, Trunk::depth>(ctx, early, condition);
    }
  }
  /// Tokens to samples.
  template <class Ctx, AnyValue X, AnyValue C> constexpr auto paint(Ctx& ctx, const X& seen, const C& condition) const {
    const auto h = layer::modulated<0, 1>(ctx, final_layer.norm_final, seen, final_layer.modulation(ctx, condition));
    const auto latent = [&](const auto& patch_tokens) {
      return ops::unpatchify<Input::patch, Input::channels, ops::PatchOrder::row_column_channel>(ctx, final_layer.linear(ctx, patch_tokens));
    };
    if constexpr (!entangled) {
      return latent(h);
    } else {
      const auto class_token = final_layer.linear_cls(ctx, ops::slice<axis::tokens, 0, 1>(ctx, h));
      return ops::concat<1>(ctx, ops::reshape<Shape<dynamic, latent_size>>(ctx, latent(ops::slice<axis::tokens, 1, tokens>(ctx, h))),
                            ops::reshape<Shape<dynamic, class_dim>>(ctx, class_token));
    }
  }
};

/// SiT with REG's class token and REPA's alignment behind block `Block`, both of one encoder, whose tokens have `Dim` values.
template <class Input, class Trunk, int Block, int Dim, class... Options> using REG = SiT<Input, Trunk, ClassToken<Dim>, Alignment<Block, Dim>, Options...>;
/// The same without the class token.
template <class Input, class Trunk, int Block, int Dim, class... Options> using REPA = SiT<Input, Trunk, Alignment<Block, Dim>, Options...>;

/// The published trunks.
template <int Width, int Depth, int NumHeads, class... More> using SiTTrunk = Transformer<Width, Depth, LayerNormNoAffine, GELUTanh, Heads<NumHeads>, AdaLNZero, More...>;
/// ImageNet in Stable Diffusion's latents, patches of 2: of 256 pixels (Side 32), or of 512 (64).
template <int Side = 32> using ImageNetLatents = ImagePatches<Side, 4, 2, 1000>;

// The published sizes. REG's S/2, of which neither weights nor figures are, is aligned here as B/2; its class token is wider than its trunk (RAE, theorem 1).
template <int Side = 32> using SiT_S_2 = SiT<ImageNetLatents<Side>, SiTTrunk<384, 12, 6>>;
template <int Side = 32> using SiT_B_2 = SiT<ImageNetLatents<Side>, SiTTrunk<768, 12, 12>>;
template <int Side = 32> using SiT_L_2 = SiT<ImageNetLatents<Side>, SiTTrunk<1024, 24, 16>>;
template <int Side = 32> using SiT_XL_2 = SiT<ImageNetLatents<Side>, SiTTrunk<1152, 28, 16>>;
template <int Dim = 768, int Side = 32> using REG_S_2 = REG<ImageNetLatents<Side>, SiTTrunk<384, 12, 6>, 4, Dim, Waive<rule::output_path>>;
template <int Dim = 768, int Side = 32> using REG_B_2 = REG<ImageNetLatents<Side>, SiTTrunk<768, 12, 12>, 4, Dim>;
template <int Dim = 768, int Side = 32> using REG_L_2 = REG<ImageNetLatents<Side>, SiTTrunk<1024, 24, 16>, 8, Dim>;
template <int Dim = 768, int Side = 32> using REG_XL_2 = REG<ImageNetLatents<Side>, SiTTrunk<1152, 28, 16>, 8, Dim>;

SFUMATO_END
