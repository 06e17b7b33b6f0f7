// DSD, one ViT that encodes, denoises and decodes: Wang and Zhang, "Diffusion As Self-Distillation: End-to-End Latent Diffusion In One Model", arXiv 2511.14716.
// What the paper leaves open is chosen here, and said in docs/dsd.md; weights are not published, so that names are the library's own.
#pragma once

#include <sfumato/nn/alignment.hpp>
#include <sfumato/nn/head.hpp>
#include <sfumato/nn/image_patches.hpp>
#include <sfumato/ops/einsum.hpp>
#include <sfumato/ops/group_norm.hpp>
#include <sfumato/ops/recompute.hpp>

#include <tuple>
#include <utility>

SFUMATO_BEGIN

namespace option {
struct head_blocks;
struct self_alignment;
}  // namespace option

/// Blocks of the diffusion head and of the velocity head.
template <int Diffusion, int Velocity = Diffusion> struct HeadBlocks {
  using category = option::head_blocks;
  static constexpr int diffusion = Diffusion, velocity = Velocity;
};
/// In training the tokens behind block `Shallow`, counted from 1, are projected through `Hidden` channels to those behind block `Deep` of the averaged weights.
template <int Shallow, int Deep, int Hidden = 2048> struct SelfAlignment {
  using category = option::self_alignment;
  static constexpr int shallow = Shallow, deep = Deep, hidden = Hidden;
};

namespace rule {
template <int Shallow, int Deep> struct ShallowBelowDeep {
  static_assert(Shallow < Deep, "[shallow-below-deep] self-alignment teaches a block what a deeper one knows");
};
}  // namespace rule

namespace layer {

/// What the uses of one trunk are told apart by: a vector that is added to every token.
template <int Width> struct Modes {
  using Vector = Param<Shape<Width>, init::Normal02>;
  Vector encode, decode, denoise;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("encode", self.encode);
    visit("decode", self.decode);
    visit("denoise", self.denoise);
  }
};
/// Blocks that time and class modulate, and the last layer, which starts at zero: tokens of the trunk's width to `Out` values each.
template <class Trunk, int Blocks, int Out> struct ModulatedHead {
  using Inner = typename Trunk::template Like<Trunk::width, Blocks, Heads<Trunk::heads>, AdaLNZero>;
  Inner trunk;
  typename sfumato::Linear::Layer<Inner, Out> final_layer;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("", self.trunk);
    visit("final_layer", self.final_layer);
  }
  /// `activated`: silu of the condition.
  template <class Ctx, AnyValue X, AnyValue C> constexpr auto operator()(Ctx& ctx, const X& x, const C& activated) const {
    return final_layer.activated(ctx, ops::narrow(ctx, trunk.template blocks_between<0, Blocks>(ctx, x, activated)), activated);
  }
};
/// Latents at variance 1 by what the batches of training were scaled and shifted by, on average; not trained.
template <int Dim> struct LatentNorm {
  Param<Shape<Dim>, init::One, true> scale;
  Param<Shape<Dim>, init::Zero, true> shift;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("scale", self.scale);
    visit("shift", self.shift);
  }
  template <class Ctx, AnyValue Z> constexpr auto operator()(Ctx& ctx, const Z& raw) const { return ops::add_parameter(ctx, ops::multiply_parameter(ctx, raw, scale), shift); }
};

}  // namespace layer

/// `Input` is an ImagePatches, `Trunk` a Transformer without condition, through which images pass on their way to latents of `LatentDim` values a token, latents on theirs to
/// images, and noisy latents on theirs to clean ones. Options: HeadBlocks<Diffusion, Velocity>, Alignment<Block, Dim, Hidden>,
/// SelfAlignment<Shallow, Deep, Hidden>, Waive<rule>, Require<Rule>.
template <class Input, class Trunk, int LatentDim, class... Options> struct DSD {
  static_assert(option::Among<option::head_blocks, option::alignment, option::self_alignment, option::waive, option::rules>::template check<Options...>());

  using Blocks = option::find<option::head_blocks, HeadBlocks<1>, Options...>;
  using Aligned = option::find<option::alignment, Alignment<0, 0, 0>, Options...>;
  using SelfAligned = option::find<option::self_alignment, SelfAlignment<0, 0, 0>, Options...>;
  static constexpr bool aligned = Aligned::dim > 0, self_aligned = SelfAligned::hidden > 0;
  static constexpr int width = Trunk::width, depth = Trunk::depth, classes = Input::classes, tokens = Input::tokens, patch = Input::patch, channels = Input::channels;
  static constexpr int latent_dim = LatentDim, token_dim = LatentDim, path_width = width;
  template <class RuleTag> static constexpr bool waives = option::waived<RuleTag, Options...>;
  using ImageShape = Shape<dynamic, channels, Input::size, Input::size>;
  using LatentShape = Shape<dynamic, tokens, LatentDim>;

  Param<Shape<1, tokens, width>, init::FromTable<layer::SinCosTable<Input::grid, width>>, true> pos_embed;
  layer::Modes<width> modes;
  layer::PatchEmbedding<channels, patch, width, 0> x_embedder;
  layer::Linear<LatentDim, width> z_embedder;
  layer::TimeEmbedding<width> t_embedder;
  layer::LabelEmbedding<classes, width> y_embedder;
  Trunk trunk;
  typename Trunk::norm::template Layer<width> norm;
  layer::Linear<width, LatentDim> latent_head;
  layer::LatentNorm<LatentDim> latent_norm;
  layer::Linear<width, Input::token_dim> image_head;
  layer::ModulatedHead<Trunk, Blocks::diffusion, LatentDim> diffusion_head;
  layer::Linear<LatentDim, width> velocity_embedder;
  layer::ModulatedHead<Trunk, Blocks::velocity, LatentDim> velocity_head;
  layer::Linear<width, classes> class_head;
  std::conditional_t<aligned, layer::Projector<width, aligned ? Aligned::hidden : 1, aligned ? Aligned::dim : 1>, None> projector;
  std::conditional_t<self_aligned, layer::Projector<width, self_aligned ? SelfAligned::hidden : 1, width>, None> self_projector;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("pos_embed", self.pos_embed);
    visit("modes", self.modes);
    visit("x_embedder", self.x_embedder);
    visit("z_embedder", self.z_embedder);
    visit("t_embedder", self.t_embedder);
    visit("y_embedder", self.y_embedder);
    visit("", self.trunk);
    visit("norm", self.norm);
    visit("latent_head", self.latent_head);
    visit("latent_norm", self.latent_norm);
    visit("image_head", self.image_head);
    visit("diffusion_head", self.diffusion_head);
    visit("velocity_embedder", self.velocity_embedder);
    visit("velocity_head", self.velocity_head);
    visit("class_head", self.class_head);
    visit("projector", self.projector);
    visit("self_projector", self.self_projector);
  }

  /// Images in [-1, 1], of ImageShape, to latents of LatentShape.
  template <class Ctx, AnyValue X> constexpr auto encode(Ctx& ctx, const X& images) const { return latent_norm(ctx, latent_head(ctx, features(ctx, images))); }
  /// Latents to images.
  template <class Ctx, AnyValue Z> constexpr auto decode(Ctx& ctx, const Z& latents) const { return pixels(ctx, painted(ctx, latents)); }
  /// What the diffusion head makes of noisy latents z at times t in [0, 1] with labels in [0, classes], `classes` being the null class: clean latents, where it was
  /// trained to give them (DSDObjective).
  template <class Ctx, AnyValue Z> constexpr auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    const auto [seen, condition] = denoised(ctx, z, times, labels);
    return diffusion_head(ctx, seen, ops::silu(ctx, condition));
  }

  // In parts, for objectives.

  /// Images to the trunk's normed tokens, (batch, tokens, width): what latents, classes and probes are made of.
  template <class Ctx, AnyValue X> constexpr auto features(Ctx& ctx, const X& images) const { return norm(ctx, ops::narrow(ctx, trunk(ctx, placed(ctx, images)))); }
  /// What each block makes of images, a tuple of (batch, tokens, width), not normed.
  template <class Ctx, AnyValue X> constexpr auto every_block(Ctx& ctx, const X& images) const {
    return [&]<int... I>(std::integer_sequence<int, I...>) { return trunk.template taps<I...>(ctx, placed(ctx, images)); }(std::make_integer_sequence<int, depth>{});
  }
  /// Latents to the normed tokens that images are painted from.
  template <class Ctx, AnyValue Z> constexpr auto painted(Ctx& ctx, const Z& latents) const { return norm(ctx, ops::narrow(ctx, trunk(ctx, placed_latents(ctx, latents, modes.decode)))); }
  template <class Ctx, AnyValue H> constexpr auto pixels(Ctx& ctx, const H& seen) const {
    return ops::unpatchify<patch, channels, ops::PatchOrder::row_column_channel>(ctx, image_head(ctx, seen));
  }
  /// The gradient of the image head's weight, (patch values, width), that goes with one of its images and the tokens that they were painted from.
  template <class Ctx, AnyValue G, AnyValue H> static constexpr auto last_gradient(Ctx& ctx, const G& d_images, const H& seen) {
    return ops::einsum<"b n p, b n d -> p d">(ctx, ops::patchify<patch, ops::PatchOrder::row_column_channel>(ctx, d_images), seen);
  }
  /// What the trunk makes of noisy latents, (batch, tokens, width), and their condition, (batch, width).
  template <class H, class C> struct Denoised {
    H seen;
    C condition;
  };
  template <class Ctx, AnyValue Z> constexpr auto denoised(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    if constexpr (!Ctx::counting)
      check(Index(times.size()) == z.batch && Index(labels.size()) == z.batch, "batch", "DSD was given ", z.batch, " latents, ", times.size(), " times and ", labels.size(), " labels");
    const auto condition = ops::add(ctx, t_embedder(ctx, times), y_embedder(ctx, labels));
    const auto told = ops::add(ctx, placed_latents(ctx, z, modes.denoise), ops::broadcast<axis::tokens, tokens>(ctx, condition));
    const auto seen = ops::narrow(ctx, trunk(ctx, told));
    return Denoised<std::remove_const_t<decltype(seen)>, std::remove_const_t<decltype(condition)>>{seen, condition};
  }
  /// Of those, the velocity. With `Detached` no gradient leaves the velocity head.
  template <bool Detached, class Ctx, AnyValue Z, class H, class C> constexpr auto velocity_of(Ctx& ctx, const Z& z, const Denoised<H, C>& of) const {
    const auto cut = [&](const auto& x) {
      if constexpr (Detached) return ops::stop_gradient(ctx, x);
      else return x;
    };
    return velocity_head(ctx, ops::add(ctx, cut(of.seen), velocity_embedder(ctx, cut(z))), ops::silu(ctx, cut(of.condition)));
  }

  // On symbols, for `cost_of`: of all three uses, and of each.

  struct Encode {
    DSD model;
    static constexpr void parameters(auto& self, auto&& visit) { visit("", self.model); }
    constexpr auto operator()(Count& count, Index batch) const { return model.encode(count, Count::input<ImageShape>(batch)); }
  };
  struct Decode {
    DSD model;
    static constexpr void parameters(auto& self, auto&& visit) { visit("", self.model); }
    constexpr auto operator()(Count& count, Index batch) const { return model.decode(count, Count::input<LatentShape>(batch)); }
  };
  struct Denoise {
    DSD model;
    static constexpr void parameters(auto& self, auto&& visit) { visit("", self.model); }
    constexpr auto operator()(Count& count, Index batch) const { return model.on_symbols(count, Count::input<LatentShape>(batch)); }
  };
  constexpr auto operator()(Count& count, Index batch) const { return decode(count, on_symbols(count, encode(count, Count::input<ImageShape>(batch)))); }
  template <AnyValue Z> constexpr auto on_symbols(Count& count, const Z& z) const {
    const auto n = static_cast<std::size_t>(z.batch);
    return (*this)(count, z, std::span(static_cast<const double*>(nullptr), n), std::span(static_cast<const int*>(nullptr), n));
  }

 private:
  template <class Ctx, AnyValue X> constexpr auto placed(Ctx& ctx, const X& images) const {
    require<rule::SameShape<DSD, typename X::shape, ImageShape>>();
    option::find<option::rules, option::Off, Options...>::template check<DSD>();
    if constexpr (aligned) require<rule::AlignmentBlock<Aligned::block, depth>>();
    if constexpr (self_aligned) require<rule::ShallowBelowDeep<SelfAligned::shallow, SelfAligned::deep>, rule::AlignmentBlock<SelfAligned::shallow, depth>, rule::AlignmentBlock<SelfAligned::deep, depth>>();
    return ops::add_parameter(ctx, ops::add_parameter(ctx, x_embedder(ctx, images), pos_embed), modes.encode);
  }
  template <class Ctx, AnyValue Z, class Mode> constexpr auto placed_latents(Ctx& ctx, const Z& latents, const Mode& mode) const {
    require<rule::SameShape<DSD, typename Z::shape, LatentShape>>();
    return ops::add_parameter(ctx, ops::add_parameter(ctx, z_embedder(ctx, latents), pos_embed), mode);
  }
};

/// A DSD as its velocity head tells the velocity: what `sample` takes with an objective of velocity prediction.
template <class Model> struct VelocityOf {
  static constexpr int classes = Model::classes;
  const Model& model;

  template <class Ctx, AnyValue Z> constexpr auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    return model.template velocity_of<true>(ctx, z, model.denoised(ctx, z, times, labels));
  }
};
template <class Model> VelocityOf(const Model&) -> VelocityOf<Model>;

/// The paper's sizes by their parameters, of which its abstract says no more: on 256 x 256 pixels in patches of 16, 16 values a latent token.
template <int Width, int Depth, int NumHeads, class... Options> using DSDImageNet = DSD<ImagePatches<256, 3, 16, 1000>, Transformer<Width, Depth, LayerNorm, GELU, Heads<NumHeads>>, 16, Options...>;
template <class... Options> using DSD_42M = DSDImageNet<448, 13, 7, Options...>;
template <class... Options> using DSD_118M = DSDImageNet<768, 13, 12, Options...>;
template <class... Options> using DSD_B = DSDImageNet<960, 15, 15, Options...>;

SFUMATO_END
