// Parameters and multiply-adds of SiT as REPA and REG build it, and what they add (REG, table 4 and its code).
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/sit.hpp>

namespace {

using namespace sfumato;

template <class Model> constexpr Index parameters = parameter_count<Model>(true);  // with the position table
template <class Model> constexpr Index projector = parameter_count<decltype(Model::projectors)>();
template <class Model> constexpr Index entangling =
    parameter_count<decltype(Model::cls_projectors2)>() + parameter_count<decltype(Model::wg_norm)>() + parameter_count<decltype(decltype(Model::final_layer)::linear_cls)>();

template <class Model> constexpr bool has(Index with_projector, Index without, Index of_projector, Index of_class_token) {
  return parameters<Model> == with_projector && projector<Model> == of_projector && with_projector - of_projector == without && entangling<Model> == of_class_token;
}
static_assert(has<REG_S_2<>>(40'107'792, 33'549'328, 6'558'464, 591'744));
static_assert(has<REG_B_2<>>(139'028'496, 131'683'600, 7'344'896, 1'182'720));
static_assert(has<REG_L_2<>>(467'533'328, 459'664'144, 7'869'184, 1'576'704));
static_assert(has<REG_XL_2<>>(685'017'360, 676'886'032, 8'131'328, 1'773'696));
// Plain ones lack the class token's modules and its row of the position table.
static_assert(parameters<SiT_S_2<>> == 33'549'328 - 591'744 - 384 && parameters<SiT_B_2<>> == 131'683'600 - 1'182'720 - 768);
static_assert(parameters<SiT_L_2<>> == 459'664'144 - 1'576'704 - 1024 && parameters<SiT_XL_2<>> == 676'886'032 - 1'773'696 - 1152);

// By hand, of one sample: T tokens through D channels.
constexpr Index block(Index d, Index tokens) { return 12 * d * d * tokens + 6 * d * d + 2 * tokens * tokens * d; }
constexpr Index sit(Index d, Index depth) { return 256 * 16 * d + 256 * d + d * d + depth * block(d, 256) + 2 * d * d + 256 * d * 16; }
constexpr Index reg(Index d, Index depth) { return 256 * 16 * d + 768 * d + 256 * d + d * d + depth * block(d, 257) + 2 * d * d + 256 * d * 16 + d * 768; }
template <class Plain, class Entangled> constexpr bool agrees(Index d, Index heads, Index depth) {
  using Trunk = decltype(Plain::trunk);
  return Trunk::width == d && Trunk::heads == heads && Trunk::depth == depth && cost_of<Plain>(1).macs == sit(d, depth) && cost_of<Entangled>(1).macs == reg(d, depth);
}
static_assert(agrees<SiT_S_2<>, REG_S_2<>>(384, 6, 12) && agrees<SiT_B_2<>, REG_B_2<>>(768, 12, 12));
static_assert(agrees<SiT_L_2<>, REG_L_2<>>(1024, 16, 24) && agrees<SiT_XL_2<>, REG_XL_2<>>(1152, 16, 28));
// The class token costs less than half a hundredth, of parameters and of multiply-adds (REG, table 4: 0.30 and 0.38 %).
static_assert((676'886'032 - parameters<SiT_XL_2<>>) * 200 < parameters<SiT_XL_2<>> && (cost_of<REG_XL_2<>>(1).macs - cost_of<SiT_XL_2<>>(1).macs) * 200 < cost_of<SiT_XL_2<>>(1).macs);

// Inference leaves the projector out.
template <class Model> constexpr Index training_macs() {
  Count count;
  Model{}.with_projection(count, Count::input<typename Model::ImageShape>(1), std::span(static_cast<const double*>(nullptr), 1), std::span(static_cast<const int*>(nullptr), 1));
  return count.cost.macs;
}
static_assert(training_macs<REG_XL_2<>>() - cost_of<REG_XL_2<>>(1).macs == 257 * (Index{1152} * 2048 + 2048 * 2048 + 2048 * 768));
static_assert(cost_of<REPA<ImageNetLatents<>, SiTTrunk<1152, 28, 16>, 8, 768>>(1).macs == cost_of<SiT_XL_2<>>(1).macs);

// What theorem 1 asks of the path is asked of the class token too.
static_assert(SiT_S_2<>::token_dim == 16 && REG_S_2<>::token_dim == 768 && REG_S_2<>::path_width == 384 && REG_S_2<>::waives<rule::output_path>);
static_assert(REG_B_2<>::path_width >= REG_B_2<>::token_dim && !REG_B_2<>::waives<rule::output_path>);

}  // namespace
