// reject: output-path.*24 .= 48|24 .= 48.*output-path
// Noise of 48-dimensional tokens through a bottleneck of 24, however wide the trunk.
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Width, int Patch, class... Options> using Model = JiT<ImagePatches<16, 3, Patch, 10>, Transformer<Width, 2, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Options...>;

template <Space Prediction, class M> void train() { FlowObjective<Prediction>::template require_sound<M>(); }

void f() {
  train<Space::x, Model<96, 4, Bottleneck<24>>>();
#if defined(SFUMATO_REJECT)
  train<Space::eps, Model<96, 4, Bottleneck<24>>>();
#else
  train<Space::eps, Model<96, 4, Bottleneck<48>>>();
#endif
}
