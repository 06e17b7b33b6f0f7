// reject: auxiliary-block.*0 . 0|0 . 0.*auxiliary-block
// An auxiliary classifier in front of the first block.
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Block> using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 6, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, AuxiliaryClassifier<Block>>;

#if defined(SFUMATO_REJECT)
static_assert(Model<0>::width == 16);
#else
static_assert(Model<1>::width == 16);
#endif
