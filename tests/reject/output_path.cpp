// reject: output-path.*32 .= 48|32 .= 48.*output-path
// Velocity of 48-dimensional tokens through a width of 32 (RAE, theorem 1); clean data passes, and so does a waiver.
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Width, int Patch, class... Options> using Model = JiT<ImagePatches<16, 3, Patch, 10>, Transformer<Width, 2, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Options...>;

template <Space Prediction, class M> void train() { FlowObjective<Prediction>::template require_sound<M>(); }

void f() {
  train<Space::x, Model<32, 4>>();
  train<Space::v, Model<48, 4>>();
#if defined(SFUMATO_REJECT)
  train<Space::v, Model<32, 4>>();
#else
  train<Space::v, Model<32, 4, Waive<rule::output_path>>>();
#endif
}
