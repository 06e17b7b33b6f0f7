// reject: alignment-block.*7 .= 6|7 .= 6.*alignment-block
// Alignment behind a block that the trunk does not have.
#include <sfumato/models/sit.hpp>

using namespace sfumato;

template <int Block> using Model = SiT<ImagePatches<8, 4, 2, 3>, SiTTrunk<16, 6, 2>, Alignment<Block, 12, 16>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<7>>(1).macs > 0);
#else
static_assert(cost_of<Model<6>>(1).macs > 0);
#endif
