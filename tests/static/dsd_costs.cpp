// DSD's published sizes by their parameters (arXiv 2511.14716, abstract), of which no more is known: within 2 %. What one pass costs, by hand.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/dsd.hpp>

namespace {

using namespace sfumato;

template <class Model> constexpr bool within(double million) {
  const double found = double(parameter_count<Model>()) / 1e6;
  return found > 0.98 * million && found < 1.02 * million;
}
static_assert(within<DSD_42M<>>(42) && within<DSD_118M<>>(118) && within<DSD_B<>>(205));

// Tokens of an image, D channels, 16 values a latent token: a plain block, the trunk on images or latents, the heads.
constexpr Index tokens = 256;
constexpr Index block(Index d) { return 12 * d * d * tokens + 2 * tokens * tokens * d; }
constexpr Index head(Index d) { return block(d) + 6 * d * d + 2 * d * d + tokens * d * 16; }
template <class Model> constexpr bool costs(Index d, Index depth) {
  return Model::width == d && Model::depth == depth && cost_of<typename Model::Encode>(1).macs == tokens * d * (768 + 16) + depth * block(d) && cost_of<typename Model::Decode>(1).macs == tokens * d * (16 + 768) + depth * block(d) &&
         cost_of<typename Model::Denoise>(1).macs == tokens * d * 16 + 256 * d + d * d + depth * block(d) + head(d) &&
         cost_of<Model>(1).macs == cost_of<typename Model::Encode>(1).macs + cost_of<typename Model::Decode>(1).macs + cost_of<typename Model::Denoise>(1).macs;
}
static_assert(costs<DSD_42M<>>(448, 13) && costs<DSD_118M<>>(768, 13) && costs<DSD_B<>>(960, 15));

// The heads are a tenth of the whole, whatever they are for: the trunk serves all three uses.
template <class Model> constexpr bool shared = 10 * parameter_count<decltype(Model::trunk)>() > 7 * parameter_count<Model>();
static_assert(shared<DSD_42M<>> && shared<DSD_118M<>> && shared<DSD_B<>>);

}  // namespace
