// reject: context-given.*ContextGiven<true, false>|ContextGiven<true, false>.*context-given
// A trunk that waits for context tokens, which SiT has none of.
#include <sfumato/models/sit.hpp>

using namespace sfumato;

template <class... More> using Model = SiT<ImagePatches<8, 4, 2, 3>, SiTTrunk<16, 6, 2, More...>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<Context<2, 1>>>(1).macs > 0);
#else
static_assert(cost_of<Model<>>(1).macs > 0);
#endif
