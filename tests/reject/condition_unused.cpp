// reject: condition-given.*ConditionGiven<false, true>|ConditionGiven<false, true>.*condition-given
// A condition that nothing would use.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return Transformer<16, 1, RMSNorm, SwiGLU>{}(ctx, x, ops::sum<1>(ctx, x));
#else
  return Transformer<16, 1, RMSNorm, SwiGLU>{}(ctx, x);
#endif
}
