// reject: head-conditioned
// A DDT head on a trunk that has no condition.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/dit.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
using Trunk = Transformer<16, 1, RMSNorm, SwiGLU, Heads<2>, Rotary>;
#else
using Trunk = Transformer<16, 1, RMSNorm, SwiGLU, Heads<2>, Rotary, AdaLNZero>;
#endif
static_assert(DiTDH<LatentTokens<2, 4, 3>, Trunk, DDT<32, 1, 2>>::path_width == 32);
