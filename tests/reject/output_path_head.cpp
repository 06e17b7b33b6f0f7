// reject: output-path.*32 .= 48|32 .= 48.*output-path
// A head narrower than the tokens, however wide the trunk; one as wide carries them past a narrow trunk (RAE, section 5).
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/dit.hpp>

using namespace sfumato;

template <int Width, int Head, class... Options> using Model = DiTDH<LatentTokens<4, 48, 3>, DiTTrunk<Width, 1, 2>, DDT<Head, 1, 2>, Options...>;
template <class M> void train() { FlowObjective<Space::v>::template require_sound<M>(); }

void f() {
  train<Model<32, 48>>();
  train<Model<64, 32, Waive<rule::output_path>>>();
#if defined(SFUMATO_REJECT)
  train<Model<64, 32>>();
#endif
}
