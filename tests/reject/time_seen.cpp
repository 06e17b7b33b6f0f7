// reject: time-seen.*AdaLNZero the time must enter as a token
#include <sfumato/models/jit.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
using Trunk = Transformer<32, 2, RMSNorm, SwiGLU, Heads<2>, Context<2, 0>>;
#else
using Trunk = Transformer<32, 2, RMSNorm, SwiGLU, Heads<2>, Context<2, 0>, TimeToken>;
#endif
static_assert(cost_of<JiT<ImagePatches<8, 1, 4, 3>, Trunk>>(1).macs > 0);
