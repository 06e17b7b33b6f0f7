// JiT, "just image Transformers": Li and He, "Back to Basics: Let Denoising Generative Models Denoise", arXiv 2511.13720.
// A plain Transformer on large patches of raw pixels that predicts the clean image. Parameter names are those of the
// published PyTorch checkpoints, less their prefix "net.".
#pragma once

#include <sfumato/nn/head.hpp>
#include <sfumato/nn/image_patches.hpp>
#include <sfumato/nn/transformer.hpp>

SFUMATO_BEGIN

/// `Input` is an ImagePatches, `Trunk` a Transformer. Options: Bottleneck<Width>, AuxiliaryClassifier<Block>, Waive<rule>,
/// Require<Rule>.
template <class Input, class Trunk, class HeadType = Head<Linear>, class... Options>
struct JiT : private rule::IsHead<HeadType, HeadPolicy<HeadType>> {
  static_assert(option::Among<option::bottleneck, option::auxiliary_classifier, option::waive, option::rules>::template check<Options...>());

  static constexpr int width = Trunk::width, classes = Input::classes, patch = Input::patch, tokens = Input::tokens, token_dim = Input::token_dim;
  static constexpr int bottleneck = [] {
    using B = option::find<option::bottleneck, Bottleneck<0>, Options...>;
    return B::width;
  }();
  template <class RuleTag> static constexpr bool waives = option::waived<RuleTag, Options...>;
  static constexpr bool has_context = Trunk::context_tokens > 0;
  /// Blocks before the auxiliary classifier; 0: there is none.
  static constexpr int auxiliary_block = option::find<option::auxiliary_classifier, option::Off, Options...>::block;

  using Embed = layer::PatchEmbedding<Input::channels, Input::patch, width, bottleneck>;
  using HeadLayer = typename HeadType::template Layer<Trunk, token_dim>;
  static_assert((require<rule::HeadInput<JiT, HeadLayer::sees_input>>(), true));
  using ImageShape = Shape<dynamic, Input::channels, Input::size, Input::size>;
  using Position = Param<Shape<1, tokens, width>, init::FromTable<layer::SinCosTable<Input::grid, width>>, true>;
  using ContextPosition = std::conditional_t<(Trunk::class_tokens > 0), Param<Shape<1, Trunk::class_tokens, width>, init::Normal02>, None>;
  /// The narrowest place that the noise of a token must pass, from patch to patch.
  static constexpr int path_width = [] {
    const int through = bottleneck > 0 && bottleneck < width ? bottleneck : width;
    return HeadLayer::path_width < through ? HeadLayer::path_width : through;
  }();

  Position pos_embed;
  ContextPosition in_context_posemb;
  layer::TimeEmbedding<width> t_embedder;
  layer::LabelEmbedding<classes, width> y_embedder;
  Embed x_embedder;
  Trunk trunk;
  HeadLayer final_layer;
  std::conditional_t<(auxiliary_block > 0), layer::Linear<width, classes>, None> aux_classifier;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("pos_embed", self.pos_embed);
    visit("in_context_posemb", self.in_context_posemb);
    visit("t_embedder", self.t_embedder);
    visit("y_embedder", self.y_embedder);
    visit("x_embedder", self.x_embedder);
    visit("", self.trunk);
    visit("final_layer", self.final_layer);
    visit("aux_classifier", self.aux_classifier);
  }

  /// The raw prediction for noisy images z, (batch, channels, size, size), at times t in [0, 1] with labels in [0, classes],
  /// `classes` being the null class; of z's shape.
  template <class Ctx, AnyValue Z>
  constexpr auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    return predict(ctx, z, times, labels, [](const auto&) {});
  }

  /// What `with_logits` returns: the raw prediction, and the auxiliary classifier's logits (batch, classes).
  template <class Prediction, class Logits> struct Both {
    Prediction prediction;
    Logits logits;
  };
  /// The same, with what the auxiliary classifier makes of z: for training.
  template <class Ctx, AnyValue Z>
  constexpr auto with_logits(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const requires (auxiliary_block > 0) {
    Value<Ctx, Shape<dynamic, classes>> logits;
    const auto prediction = predict(ctx, z, times, labels, [&](const auto& h) { logits = aux_classifier(ctx, ops::narrow(ctx, ops::mean<axis::tokens>(ctx, h))); });
    return Both<std::remove_const_t<decltype(prediction)>, decltype(logits)>{prediction, logits};
  }

  /// The same on symbols, for `cost_of<JiT<...>>(batch)`.
  constexpr auto operator()(Count& count, Index batch) const {
    const auto n = static_cast<std::size_t>(batch);
    return (*this)(count, Count::input<ImageShape>(batch), std::span(static_cast<const double*>(nullptr), n), std::span(static_cast<const int*>(nullptr), n));
  }

 private:
  /// `look` is given the tokens that the auxiliary classifier sees.
  template <class Ctx, AnyValue Z, class Look>
  constexpr auto predict(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels, const Look& look) const {
    require<rule::SameShape<JiT, typename Z::shape, ImageShape>>();
    require<rule::TimeSeen<JiT, Trunk::modulated || Trunk::time_token>, rule::LabelSeen<JiT, Trunk::modulated || (Trunk::class_tokens > 0)>>();
    option::find<option::rules, option::Off, Options...>::template check<JiT>();
    if constexpr (bottleneck > 0 && !waives<rule::bottleneck_width>) require<rule::BottleneckWidth<bottleneck, token_dim, width>>();
    if constexpr (!Ctx::counting)
      check(Index(times.size()) == z.batch && Index(labels.size()) == z.batch, "batch", "JiT was given ", z.batch, " images, ", times.size(),
            " times and ", labels.size(), " labels");
    const auto time = t_embedder(ctx, times);
    const auto label = y_embedder(ctx, labels);
    const auto condition = ops::add(ctx, time, label);
    const auto patches = ops::add_parameter(ctx, x_embedder(ctx, z), pos_embed);
    const auto seen = through_trunk(ctx, patches, time, condition, context(ctx, time, label), look);
    return ops::unpatchify<Input::patch, Input::channels, ops::PatchOrder::row_column_channel>(ctx, head(ctx, seen, condition));
  }

  /// The tokens that stand before the patches: time, and one per class token, made of the label's embedding and a position.
  template <class Ctx, AnyValue T, AnyValue Y> constexpr auto context(Ctx& ctx, const T& time, const Y& label) const {
    const auto classes_part = [&] {
      if constexpr (Trunk::class_tokens > 0)  // without class tokens there is no such shape
        return ops::add_parameter(ctx, ops::broadcast<1, Trunk::class_tokens>(ctx, label), in_context_posemb);
    };
    const auto time_part = [&] { return ops::reshape<Shape<dynamic, 1, width>>(ctx, time); };
    if constexpr (Trunk::time_token && Trunk::class_tokens > 0) return ops::concat<axis::tokens>(ctx, time_part(), classes_part());
    else if constexpr (Trunk::time_token) return time_part();
    else if constexpr (Trunk::class_tokens > 0) return classes_part();
    else return None{};
  }
  template <class Ctx, AnyValue X, AnyValue C, class Extra, class Look>
  constexpr auto through_trunk(Ctx& ctx, const X& patches, const C& time, const C& condition, const Extra& extra, const Look& look) const {
    if constexpr (auxiliary_block > 0) {
      constexpr int latest = Trunk::class_tokens > 0 ? Trunk::context_start : Trunk::depth;
      require<rule::AuxiliaryBlock<auxiliary_block, Trunk::depth, latest>, rule::AuxiliaryTime<Trunk::modulated>>();
      constexpr int block = auxiliary_block < latest ? auxiliary_block : latest;  // beyond, the rule alone should speak
      const auto early = trunk.template blocks_between<0, block>(ctx, patches, trunk.activate(ctx, time), extra);
      look(early);
      return trunk.drop_context(ctx, trunk.template blocks_between<block, Trunk::depth>(ctx, early, trunk.activate(ctx, condition), extra));
    } else if constexpr (Trunk::modulated) {
      return trunk(ctx, patches, condition, extra);
    } else {
      return trunk(ctx, patches, None{}, extra);
    }
  }
  template <class Ctx, AnyValue X, AnyValue C> constexpr auto head(Ctx& ctx, const X& x, const C& condition) const {
    if constexpr (Trunk::modulated) return final_layer(ctx, x, condition);
    else return final_layer(ctx, x, None{});
  }
};

/// The trunk of the published models: SwiGLU, RMSNorm, rotary, QK-norm, adaLN-Zero, 32 class tokens from block `Start`.
template <int Width, int Depth, int NumHeads, int Start, class... More>
using JiTTrunk = Transformer<Width, Depth, RMSNorm, SwiGLU, Heads<NumHeads>, QKNorm, Rotary, AdaLNZero, Context<32, Start>, More...>;

// The published sizes (table 9), on ImageNet's 1000 classes.
template <int ImageSize, int Patch, class Trunk, int Through>
using JiTImageNet = JiT<ImagePatches<ImageSize, 3, Patch, 1000>, Trunk, Head<Linear>, Bottleneck<Through>>;
using JiTTrunkB = JiTTrunk<768, 12, 12, 4>;
using JiTTrunkL = JiTTrunk<1024, 24, 16, 8>;
using JiTTrunkH = JiTTrunk<1280, 32, 16, 10, Dropout<std::ratio<2, 10>, 8, 24>>;
using JiTTrunkG = JiTTrunk<1664, 40, 16, 10, Dropout<std::ratio<2, 10>, 10, 30>>;
using JiT_B_16 = JiTImageNet<256, 16, JiTTrunkB, 128>;
using JiT_B_32 = JiTImageNet<512, 32, JiTTrunkB, 128>;
using JiT_B_64 = JiTImageNet<1024, 64, JiTTrunkB, 128>;
using JiT_L_16 = JiTImageNet<256, 16, JiTTrunkL, 128>;
using JiT_L_32 = JiTImageNet<512, 32, JiTTrunkL, 128>;
using JiT_H_16 = JiTImageNet<256, 16, JiTTrunkH, 256>;
using JiT_H_32 = JiTImageNet<512, 32, JiTTrunkH, 256>;
using JiT_G_16 = JiTImageNet<256, 16, JiTTrunkG, 256>;
using JiT_G_32 = JiTImageNet<512, 32, JiTTrunkG, 256>;

SFUMATO_END
