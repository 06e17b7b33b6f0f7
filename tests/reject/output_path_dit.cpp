// reject: output-path.*32 .= 48|32 .= 48.*output-path
// A plain DiT narrower than its tokens, unless the rule is waived by name (RAE, theorem 1).
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/dit.hpp>

using namespace sfumato;

template <int Width, class... Options> using Model = DiT<LatentTokens<4, 48, 3>, DiTTrunk<Width, 1, 2>, Head<Linear>, Options...>;
template <class M> void train() { FlowObjective<Space::v>::template require_sound<M>(); }

void f() {
  train<Model<48>>();
#if defined(SFUMATO_REJECT)
  train<Model<32>>();
#else
  train<Model<32, Waive<rule::output_path>>>();
#endif
}
