// mistake: norm-policy.*Scaling|Scaling.*norm-policy
// A norm that is not one.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

struct Scaling {
  double by = 1;
};
#ifdef SFUMATO_MISTAKE
using Trunk = Transformer<64, 2, Scaling, SwiGLU, AdaLNZero>;
#else
using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero>;
#endif
using Model = JiT<ImagePatches<28, 1, 4, 10>, Trunk>;

int main() {
  backend::Cpu cpu;
  Weights<Model, backend::Cpu> weights(cpu, 1);
}
