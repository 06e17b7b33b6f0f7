// reject: alignment-block.*0 . 0|0 . 0.*alignment-block
// Alignment in front of the first block.
#include <sfumato/models/sit.hpp>

using namespace sfumato;

template <int Block> using Model = SiT<ImagePatches<8, 4, 2, 3>, SiTTrunk<16, 6, 2>, Alignment<Block, 12, 16>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<0>>(1).macs > 0);
#else
static_assert(cost_of<Model<1>>(1).macs > 0);
#endif
