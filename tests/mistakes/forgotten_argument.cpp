// mistake: activation-policy.*Missing|Missing.*activation-policy
// A trunk without its activation.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
using Trunk = Transformer<64, 2, RMSNorm>;
#else
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero>;
#endif
using Model = JiT<ImagePatches<28, 1, 4, 10>, Trunk, Head<Linear>, Bottleneck<8>>;

int main() {
  backend::Cpu cpu;
  Weights<Model, backend::Cpu> weights(cpu, 1);
}
