// reject: auxiliary-block.*6 . 6|6 . 6.*auxiliary-block
// An auxiliary classifier behind the last block.
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Block>
using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 6, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, AuxiliaryClassifier<Block>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<6>>(1).macs > 0);
#else
static_assert(cost_of<Model<5>>(1).macs > 0);
#endif
