// reject: shift-defined
// A schedule's shift of no base.
#include <sfumato/flow/schedule.hpp>

using namespace sfumato;

using Latent = Shape<dynamic, 64, 32>;
#if defined(SFUMATO_REJECT)
static_assert(DimensionShift<Latent, 0>::dimension > 0);
#else
static_assert(DimensionShift<Latent, 512>::dimension > 0);
#endif
