// reject: auxiliary-block.*4 .= 2|4 .= 2.*auxiliary-block
// An auxiliary classifier that could read the label off the class tokens.
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Block>
using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 6, RMSNorm, SwiGLU, AdaLNZero, Context<4, 2>>, Head<Linear>, AuxiliaryClassifier<Block>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<4>>(1).macs > 0);
#else
static_assert(cost_of<Model<2>>(1).macs > 0);
#endif
