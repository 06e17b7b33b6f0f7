// Parameters, multiply-adds and names of the published DiT and DiT-DH (RAE, tables 7, 13, 17, figure 6 and its code).
#include <sfumato/autodiff/count.hpp>
#include <sfumato/design/published_cost.hpp>
#include <sfumato/design/theorem.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/schedule.hpp>
#include <sfumato/models/dit.hpp>

namespace {

using namespace sfumato;

/// All parameters, and the trainable ones: less the position table and the frequencies.
template <class Model> constexpr bool has(Index all, Index trainable) { return parameter_count<Model>(true) == all && parameter_count<Model>() == trainable; }

static_assert(has<DiT_S<>>(33'649'792, 33'551'232));
static_assert(has<DiT_XL<>>(677'248'384, 676'953'216));
static_assert(has<DiTDH_S<>>(196'455'764, 196'357'204));
static_assert(has<DiTDH_XL<>>(838'675'796, 838'380'628));
// Our figures, where the paper gives none.
static_assert(has<DiT_B<>>(131'884'288, 131'687'424) && has<DiT_L<>>(459'923'424, 459'661'024));
static_assert(has<DiTDH_B<>>(294'295'892, 294'099'028) && has<DiTDH_L<>>(621'744'436, 621'482'036));
// Other encoders' widths.
static_assert(parameter_count<DiT_XL<384>>(true) == 676'363'264 && parameter_count<DiT_XL<1024>>(true) == 677'838'464);
static_assert(parameter_count<DiTDH_S<384>>(true) == 194'735'060);
static_assert(parameter_count<DiTDH_XL<384>>(true) == 836'660'180 && parameter_count<DiTDH_XL<1024>>(true) == 840'019'540);

// All sizes by hand, for tokens of 768 values on a grid of 16, and a head of two blocks of 2048.
struct ByHand {
  Index width, heads, depth;
  static constexpr Index tokens = 256, dim = 768, head_width = 2048, head_depth = 2;

  static constexpr Index hidden(Index d) { return d * 8 / 3; }
  static constexpr Index block_weights(Index d) { return 4 * d * d + 3 * d * hidden(d); }  // each once for each token
  static constexpr Index block(Index d) { return 2 * d + block_weights(d) + 5 * d + 2 * hidden(d) + 6 * d * d + 6 * d; }
  static constexpr Index last(Index d) { return d + 2 * d * d + 2 * d + d * dim + dim; }
  static constexpr Index block_macs(Index d) { return tokens * block_weights(d) + 2 * tokens * tokens * d; }  // but for the modulation

  constexpr Index trunk() const { return dim * width + width + 512 * width + width * width + 2 * width + 1001 * width + depth * block(width); }
  constexpr Index projector() const { return width == head_width ? 0 : (width + 1) * head_width; }
  constexpr Index fixed() const { return tokens * width + 256; }
  constexpr Index plain() const { return trunk() + last(width); }
  constexpr Index wide() const { return trunk() + (dim + 1) * head_width + projector() + head_depth * block(head_width) + last(head_width); }

  constexpr Index trunk_macs() const { return tokens * dim * width + 512 * width + width * width + depth * (block_macs(width) + 6 * width * width); }
  constexpr Index plain_macs() const { return trunk_macs() + 2 * width * width + tokens * width * dim; }
  constexpr Index wide_macs() const {  // the head's modulations once for each token
    const Index d = head_width, projected = width == d ? 0 : width;
    return trunk_macs() + tokens * (dim + projected) * d + head_depth * (block_macs(d) + tokens * 6 * d * d) + tokens * (2 * d * d + d * dim);
  }
  template <class Model> constexpr bool extents() const { return Model::width == width && decltype(Model::trunk)::heads == heads && decltype(Model::trunk)::depth == depth; }
  template <class Plain, class Wide> constexpr bool agrees() const {
    return extents<Plain>() && extents<Wide>() && has<Plain>(plain() + fixed(), plain()) && has<Wide>(wide() + fixed(), wide()) && cost_of<Plain>(1).macs == plain_macs() &&
           cost_of<Wide>(1).macs == wide_macs();
  }
};
static_assert(ByHand{384, 6, 12}.agrees<DiT_S<>, DiTDH_S<>>() && ByHand{768, 12, 12}.agrees<DiT_B<>, DiTDH_B<>>());
static_assert(ByHand{1024, 16, 24}.agrees<DiT_L<>, DiTDH_L<>>() && ByHand{1152, 16, 28}.agrees<DiT_XL<>, DiTDH_XL<>>());
static_assert(ByHand{1280, 16, 32}.agrees<DiT_XXL<>, DiTDH_XXL<>>() && ByHand{1536, 16, 32}.agrees<DiT_H<>, DiTDH_H<>>());
static_assert(ByHand{2048, 16, 40}.agrees<DiT_G<>, DiTDH_G<>>() && ByHand{2688, 21, 40}.agrees<DiT_T<>, DiTDH_T<>>());
// What no count sees: where DiT-DH starts, the head's heads, and how a width of 1024 rounds its hidden one.
static_assert(std::is_same_v<DiTDHTrunk<384, 12, 6>, Transformer<384, 12, RMSNorm, SwiGLU, Heads<6>, Rotary, AdaLNZero, LinearInit<init::UniformFanIn>>> &&
              std::is_same_v<DiTTrunk<384, 12, 6>::Init, init::XavierUniform>);
static_assert(DiTDH_XL<>::HeadLayer::Blocks::heads == 16 && DiTDH_XL<>::HeadLayer::Blocks::head_dim == 128 && std::is_same_v<DiTDH_XL<>::HeadLayer::Blocks::Init, init::UniformFanIn>);
static_assert(decltype(DiT_L<>::trunk)::hidden == 2730 && decltype(DiT_XL<>::trunk)::hidden == 3072 && DiTDH_S<>::HeadLayer::Blocks::hidden == 5461);
// A trunk as wide as the head needs no projector.
static_assert(is_none<decltype(DiTDH_G<>::HeadLayer::projector)> && !is_none<decltype(DiTDH_T<>::HeadLayer::projector)>);

// Multiply-adds of an image and forward pass, in hundredths of giga: the baseline's, and DiT-DH's with its head conditioned token by token.
constexpr bool rounds_to(Index macs, Index hundredths) { return (macs + 5'000'000) / 10'000'000 == hundredths; }
static_assert(rounds_to(cost_of<DiT_S<>>(1).macs, 620) && rounds_to(cost_of<DiT_B<>>(1).macs, 2330) && rounds_to(cost_of<DiT_L<>>(1).macs, 8108) &&
              rounds_to(cost_of<DiT_XL<>>(1).macs, 11906));
static_assert(rounds_to(cost_of<DiTDH_S<>>(1).macs, 4847) && rounds_to(cost_of<DiTDH_B<>>(1).macs, 6569) && rounds_to(cost_of<DiTDH_L<>>(1).macs, 12355) &&
              rounds_to(cost_of<DiTDH_XL<>>(1).macs, 16158));
// And as the paper's figures have them.
constexpr bool in_tenths(Index macs, Index tenths) { return (macs + 50'000'000) / 100'000'000 == tenths; }
static_assert(in_tenths(sample_conditioned_macs<DiTDH_S<>>(cost_of<DiTDH_S<>>(1).macs), 329) && in_tenths(sample_conditioned_macs<DiTDH_B<>>(cost_of<DiTDH_B<>>(1).macs), 499) &&
              in_tenths(sample_conditioned_macs<DiTDH_L<>>(cost_of<DiTDH_L<>>(1).macs), 1076) && in_tenths(sample_conditioned_macs<DiTDH_XL<>>(cost_of<DiTDH_XL<>>(1).macs), 1456));
// The heads alone: two blocks of 2048, four, six of 1152.
template <int Width, int Depth> constexpr Index head_macs = sample_conditioned_head_macs<DiTDH<ImageNetTokens<768>, DiTDHTrunk<384, 12, 6>, DDT<Width, Depth>>>();
static_assert(rounds_to(head_macs<2048, 2>, 2677) && rounds_to(head_macs<2048, 4>, 5312) && rounds_to(head_macs<1152, 6>, 2564));

// What a narrow path loses, and what it does not.
static_assert(one_image_floor<768>(384) == 0.5 && one_image_floor<768>(768) == 0 && one_image_floor<768>(1024) == 0);
static_assert(!FlowObjective<Space::v>::fits<DiT_S<>> && FlowObjective<Space::v>::fits<DiTDH_S<>> && FlowObjective<Space::v>::fits<DiT_S<384>> &&
              FlowObjective<Space::x>::fits<DiT_S<>>);
// A head is as its trunk in all but extents, dropout and what it is given.
using Odd = DiTDH<LatentTokens<4, 8, 3>, DiTTrunk<32, 2, 2, QKNorm, Bias<false>, MlpRatio<2>, Recompute, WideResidual, Dropout<std::ratio<1, 10>, 0, 2>>, DDT<64, 3, 4, MlpRatio<3>>>;
using OddHead = Odd::HeadLayer::Blocks;
static_assert(OddHead::width == 64 && OddHead::depth == 3 && OddHead::heads == 4 && OddHead::hidden == 192 && !OddHead::biased && OddHead::recomputes && OddHead::wide_residual &&
              OddHead::rotary && OddHead::modulated && OddHead::Drop::rate == 0 && !is_none<decltype(OddHead::BlockType::attn.q_norm)>);

// A shift is of the latent's own shape.
static_assert(DimensionShift<DiTDH_S<>::ImageShape>::dimension == 196'608 && DimensionShift<DiTDH_S<768, 32>::ImageShape>::dimension == 786'432);
// Images of 512 pixels: longer tables, the same parameters; a larger shift.
static_assert(has<DiTDH_XL<768, 32>>(838'675'796 + 768 * 1152, 838'380'628));
constexpr bool near(double a, double b) { return a - b < 5e-5 && b - a < 5e-5; }
static_assert(near(DimensionShift<DiTDH_S<384>::ImageShape>::alpha, 4.8990) && near(DimensionShift<DiTDH_S<>::ImageShape>::alpha, 6.9282) &&
              DimensionShift<DiTDH_S<1024>::ImageShape>::alpha == 8 && near(DimensionShift<DiTDH_XL<768, 32>::ImageShape>::alpha, 13.8564));

}  // namespace
