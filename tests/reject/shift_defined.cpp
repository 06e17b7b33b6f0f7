// reject: shift-defined.*2048L? .= 4096|2048L? .= 4096.*shift-defined
// Latents of fewer dimensions than the base of their schedule's shift.
#include <sfumato/flow/schedule.hpp>

using namespace sfumato;

using Latent = Shape<dynamic, 64, 32>;
#if defined(SFUMATO_REJECT)
static_assert(DimensionShift<Latent>::alpha > 0);
#else
static_assert(DimensionShift<Latent, 2048>::alpha == 1 && DimensionShift<Latent, 512>::alpha == 2);
#endif
