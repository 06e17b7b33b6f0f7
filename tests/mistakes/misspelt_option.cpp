// mistake: unknown-option.*Bottleneck<16>|Bottleneck<16>.*unknown-option
// An option that is none here: the model's, given to its trunk.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero, Bottleneck<16>>;
#else
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero, Rotary>;
#endif
using Model = JiT<ImagePatches<28, 1, 4, 10>, Trunk>;

int main() {
  backend::Cpu cpu;
  Weights<Model, backend::Cpu> weights(cpu, 1);
}
