// reject: label-seen.*AdaLNZero the label must enter as tokens
#include <sfumato/models/jit.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
using Trunk = Transformer<32, 2, RMSNorm, SwiGLU, Heads<2>, TimeToken>;
#else
using Trunk = Transformer<32, 2, RMSNorm, SwiGLU, Heads<2>, TimeToken, Context<2, 0>>;
#endif
static_assert(cost_of<JiT<ImagePatches<8, 1, 4, 3>, Trunk>>(1).macs > 0);
