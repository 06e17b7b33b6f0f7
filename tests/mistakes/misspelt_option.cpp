// mistake: unknown-option.*Rotari|Rotari.*unknown-option
// An option that is none.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

struct Rotari {};
#if defined(SFUMATO_MISTAKE) && SFUMATO_MISTAKE == 3
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero, QKnorm>;
#elif defined(SFUMATO_MISTAKE) && SFUMATO_MISTAKE == 2
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero, Bottleneck<16>>;
#elif defined(SFUMATO_MISTAKE)
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero, Rotari>;
#else
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero, Rotary>;
#endif
using Model = JiT<ImagePatches<28, 1, 4, 10>, Trunk>;

int main() {
  backend::Cpu cpu;
  Weights<Model, backend::Cpu> weights(cpu, 1);
}
