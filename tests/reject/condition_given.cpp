// reject: condition-given.*ConditionGiven<true, false>|ConditionGiven<true, false>.*condition-given
// adaLN-Zero without a condition.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return Transformer<16, 1, RMSNorm, SwiGLU, AdaLNZero>{}(ctx, x);
#else
  return Transformer<16, 1, RMSNorm, SwiGLU, AdaLNZero>{}(ctx, x, ops::sum<1>(ctx, x));
#endif
}
