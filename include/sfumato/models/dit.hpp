// DiT and DiT-DH on the tokens of a latent space: Zheng et al., "Diffusion Transformers with Representation Autoencoders", arXiv
// 2510.11690 (RAE). Parameter names are those of the published PyTorch checkpoints.
#pragma once

#include <sfumato/models/latent_tokens.hpp>
#include <sfumato/nn/head.hpp>

#include <array>

SFUMATO_BEGIN

namespace detail {
/// "blocks.28": where a head's blocks stand in a list with the trunk's.
template <int Number> inline constexpr auto block_name = [] {
  std::array<char, 16> out{};
  int digits[8] = {}, count = 0;
  for (int n = Number; count == 0 || n > 0; n /= 10) digits[count++] = n % 10;
  std::size_t at = 0;
  for (const char c : {'b', 'l', 'o', 'c', 'k', 's', '.'}) out[at++] = c;
  while (count > 0) out[at++] = static_cast<char>('0' + digits[--count]);
  return out;
}();
}  // namespace detail

/// `Input` is a LatentTokens, `Trunk` a Transformer with AdaLNZero. With `Head<Linear>` this is the DiT of LightningDiT's style, with
/// `Head<DDT<Width, Depth>>` it is DiT-DH. Options: Waive<rule>, Require<Rule>.
///
/// The published weights count time from data (0) to noise (1) and predict noise less data; here, as everywhere in the library, 1
/// is data and velocity is data less noise. The model turns both over, so that the weights mean what they meant.
template <class Input, class Trunk, class HeadType = Head<Linear>, class... Options>
struct DiT : private rule::IsHead<HeadType, HeadPolicy<HeadType>> {
  static_assert(option::Among<option::waive, option::rules>::template check<Options...>());

  static constexpr int width = Trunk::width, classes = Input::classes, tokens = Input::tokens, token_dim = Input::token_dim;
  template <class RuleTag> static constexpr bool waives = option::waived<RuleTag, Options...>;
  using HeadLayer = typename HeadType::template Layer<Trunk, token_dim>;
  /// Whether the head has an input of its own.
  static constexpr bool decoupled = HeadLayer::sees_input;
  static constexpr int path_width = HeadLayer::path_width;
  using ImageShape = Shape<dynamic, tokens, token_dim>;

  Param<Shape<1, tokens, width>, init::FromTable<layer::SinCosTable<Input::grid, width>>, true> pos_embed;
  layer::TokenEmbedding<token_dim, width> embedder;
  layer::FourierTimeEmbedding<width, typename Trunk::Init> t_embedder;
  layer::LabelEmbedding<classes, width> y_embedder;
  Trunk trunk;
  HeadLayer head;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("pos_embed", self.pos_embed);
    if constexpr (decoupled) {
      visit("x_embedder", self.head.x_embedder);
      visit("s_embedder", self.embedder);
      visit("s_projector", self.head.projector);
    } else {
      visit("x_embedder", self.embedder);
    }
    visit("t_embedder", self.t_embedder);
    visit("y_embedder", self.y_embedder);
    visit("", self.trunk);
    if constexpr (decoupled) {
      [&]<int... I>(std::integer_sequence<int, I...>) {
        (visit(detail::block_name<Trunk::depth + I>.data(), self.head.trunk.blocks[std::size_t(I)]), ...);
      }(std::make_integer_sequence<int, HeadLayer::Blocks::depth>{});
      visit("final_layer", self.head.final_layer);
    } else {
      visit("final_layer", self.head);
    }
  }

  /// The velocity of noisy tokens z, (batch, tokens, token_dim), at times t in [0, 1] with labels in [0, classes], `classes` being the
  /// null class; of z's shape.
  template <class Ctx, AnyValue Z>
  constexpr auto operator()(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    require<rule::SameShape<DiT, typename Z::shape, ImageShape>>();
    option::find<option::rules, option::Off, Options...>::template check<DiT>();
    if constexpr (Ctx::counting) {
      return published(ctx, z, times, labels);
    } else {
      check(Index(times.size()) == z.batch && Index(labels.size()) == z.batch, "batch", "DiT was given ", z.batch, " tokens' samples, ", times.size(),
            " times and ", labels.size(), " labels");
      const auto noise = layer::times_of_noise(ctx, times);
      return ops::scale(ctx, -1, published(ctx, z, std::span<const double>{noise.data(), noise.size()}, labels));
    }
  }
  /// The same on symbols, for `cost_of<DiT<...>>(batch)`.
  constexpr auto operator()(Count& count, Index batch) const {
    const auto n = static_cast<std::size_t>(batch);
    return (*this)(count, Count::input<ImageShape>(batch), std::span(static_cast<const double*>(nullptr), n), std::span(static_cast<const int*>(nullptr), n));
  }

  /// As published: times of noise, from 0 (data) to 1; noise less data.
  template <class Ctx, AnyValue Z>
  constexpr auto published(Ctx& ctx, const Z& z, std::span<const double> times, std::span<const int> labels) const {
    const auto time = t_embedder(ctx, times);
    const auto condition = ops::add(ctx, time, y_embedder(ctx, labels));
    const auto embedded = ops::add_parameter(ctx, embedder(ctx, z), pos_embed);
    if constexpr (decoupled) {
      // SiLU here and again in each block: so the published code does.
      return head(ctx, z, trunk(ctx, embedded, ops::silu(ctx, condition)), time);
    } else {
      return head(ctx, trunk(ctx, embedded, condition), condition);
    }
  }
};

/// A DiT with a wide head, which sees the noisy tokens (RAE, section 5).
template <class Input, class Trunk, class Policy = DDT<2048, 2>, class... Options> using DiTDH = DiT<Input, Trunk, Head<Policy>, Options...>;

/// The published trunks (RAE, table 13); those of DiT-DH start from PyTorch's default law.
template <int Width, int Depth, int NumHeads, class... More> using DiTTrunk = Transformer<Width, Depth, RMSNorm, SwiGLU, Heads<NumHeads>, Rotary, AdaLNZero, More...>;
template <int Width, int Depth, int NumHeads> using DiTDHTrunk = DiTTrunk<Width, Depth, NumHeads, LinearInit<init::UniformFanIn>>;

// The published sizes on ImageNet, for an encoder's token of `Dim` values, on a grid of 16 (256 pixels) or 32 (512).
template <int Dim = 768, int Grid = 16> using DiT_S = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<384, 12, 6>>;
template <int Dim = 768, int Grid = 16> using DiT_B = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<768, 12, 12>>;
template <int Dim = 768, int Grid = 16> using DiT_L = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<1024, 24, 16>>;
template <int Dim = 768, int Grid = 16> using DiT_XL = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<1152, 28, 16>>;
template <int Dim = 768, int Grid = 16> using DiT_XXL = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<1280, 32, 16>>;
template <int Dim = 768, int Grid = 16> using DiT_H = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<1536, 32, 16>>;
template <int Dim = 768, int Grid = 16> using DiT_G = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<2048, 40, 16>>;
template <int Dim = 768, int Grid = 16> using DiT_T = DiT<ImageNetTokens<Dim, Grid>, DiTTrunk<2688, 40, 21>>;
template <int Dim = 768, int Grid = 16> using DiTDH_S = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<384, 12, 6>>;
template <int Dim = 768, int Grid = 16> using DiTDH_B = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<768, 12, 12>>;
template <int Dim = 768, int Grid = 16> using DiTDH_L = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<1024, 24, 16>>;
template <int Dim = 768, int Grid = 16> using DiTDH_XL = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<1152, 28, 16>>;
template <int Dim = 768, int Grid = 16> using DiTDH_XXL = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<1280, 32, 16>>;
template <int Dim = 768, int Grid = 16> using DiTDH_H = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<1536, 32, 16>>;
template <int Dim = 768, int Grid = 16> using DiTDH_G = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<2048, 40, 16>>;
template <int Dim = 768, int Grid = 16> using DiTDH_T = DiTDH<ImageNetTokens<Dim, Grid>, DiTDHTrunk<2688, 40, 21>>;

SFUMATO_END
