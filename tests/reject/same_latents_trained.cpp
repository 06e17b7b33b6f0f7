// reject: same-latents.*24 == 16|24 == 16.*same-latents
// A diffusion model that is trained in another encoder's latents.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/trainer.hpp>

using namespace sfumato;
using Cpu = backend::Cpu;

using Encoder = VisionEncoder<EncoderInput<8, 4, 2>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;  // 4 tokens of 16
template <int Dim> using Model = DiT<LatentTokens<2, Dim, 10>, DiTTrunk<32, 1, 2>>;
#if defined(SFUMATO_REJECT)
constexpr int dim = 24;
#else
constexpr int dim = 16;
#endif

struct Nothing {
  Index size() const { return 1; }
  int load(Index, bool, float*) const { return 0; }
};
void f(Trainer<Model<dim>, Encoder::ImageShape, LatentObjective<Encoder, FlowObjective<Space::v>, Cpu, float>, Cpu>& trainer) { trainer.step(Nothing{}); }
