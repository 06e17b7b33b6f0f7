// reject: auxiliary-block.*AdaLNZero|AuxiliaryTime<false>.*auxiliary-block
// An auxiliary classifier on blocks that never see the time.
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <class... More>
using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 6, RMSNorm, SwiGLU, TimeToken, Context<4, 2>, More...>, Head<Linear>, AuxiliaryClassifier<2>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<>>(1).macs > 0);
#else
static_assert(cost_of<Model<AdaLNZero>>(1).macs > 0);
#endif
