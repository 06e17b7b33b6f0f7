// mistake: head-policy.*Bottleneck<8>|Bottleneck<8>.*head-policy
// An option where the head belongs.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero>;
#ifdef SFUMATO_MISTAKE
using Model = JiT<ImagePatches<28, 1, 4, 10>, Trunk, Bottleneck<8>>;
#else
using Model = JiT<ImagePatches<28, 1, 4, 10>, Trunk, Head<Linear>, Bottleneck<8>>;
#endif

int main() {
  backend::Cpu cpu;
  Weights<Model, backend::Cpu> weights(cpu, 1);
}
