// reject: output-path.*64 >= 192|64 >= 192.*output-path
// v-prediction through a bottleneck narrower than its tokens.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

using Trunk = Transformer<256, 8, RMSNorm, SwiGLU, QKNorm, Rotary, AdaLNZero>;
using Design = JiT<ImagePatches<64, 3, 8, 10>, Trunk, Head<Linear>, Bottleneck<64>>;

int main() {
#ifdef SFUMATO_REJECT
  FlowObjective<Space::v>::require_sound<Design>();
#else
  FlowObjective<Space::x>::require_sound<Design>();
#endif
}
