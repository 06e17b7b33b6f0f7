// reject: shallow-below-deep.*2 < 2|2 < 2.*shallow-below-deep
// A block that is to learn from itself.
#include <sfumato/models/dsd.hpp>

using namespace sfumato;

template <int Shallow> using Model = DSD<ImagePatches<8, 1, 4, 3>, Transformer<16, 2, LayerNorm, GELU, Heads<2>>, 5, SelfAlignment<Shallow, 2, 8>>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<2>>(1).macs > 0);
#else
static_assert(cost_of<Model<1>>(1).macs > 0);
#endif
