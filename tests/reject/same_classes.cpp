// reject: same-classes.*10 == 5|10 == 5.*same-classes
// A guide of other classes than the model's: its null class is none of them.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/train/weights.hpp>

using namespace sfumato;
using Cpu = backend::Cpu;

template <int Classes> using Model = DiT<LatentTokens<2, 8, Classes>, DiTTrunk<16, 1, 2>>;
#if defined(SFUMATO_REJECT)
using Weak = Model<10>;
#else
using Weak = Model<5>;
#endif

auto f(Run<Cpu>& run, const Weights<Model<5>, Cpu>& model, const Weights<Weak, Cpu>& weak, std::span<const int> labels) {
  return sample<Model<5>::ImageShape, Euler>(run, model.model(), FlowObjective<Space::v>{}, labels, 0, 0, {.guidance = 2}, NoProgress{}, AutoGuidance{weak.model(), weak.values()});
}
