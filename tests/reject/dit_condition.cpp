// reject: condition-given.*ConditionGiven<false, true>|ConditionGiven<false, true>.*condition-given
// A DiT whose trunk would not hear of time and label.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/dit.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
using Model = DiT<LatentTokens<2, 8, 3>, Transformer<16, 1, RMSNorm, SwiGLU>>;
#else
using Model = DiT<LatentTokens<2, 8, 3>, Transformer<16, 1, RMSNorm, SwiGLU, AdaLNZero>>;
#endif
static_assert(cost_of<Model>(1).macs > 0);
