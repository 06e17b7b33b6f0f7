// reject: teacher-width.*8 == 12|8 == 12.*teacher-width
// A class token of one encoder beside the aligned tokens of another.
#include <sfumato/models/sit.hpp>

using namespace sfumato;

template <int Dim> using Model = SiT<ImagePatches<8, 4, 2, 3>, SiTTrunk<16, 6, 2>, ClassToken<Dim>, Alignment<3, 12, 16>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<8>>(1).macs > 0);
#else
static_assert(cost_of<Model<12>>(1).macs > 0);
#endif
