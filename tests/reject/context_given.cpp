// reject: context-given.*ContextGiven<true, false>|ContextGiven<true, false>.*context-given
// Context tokens announced and not given.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return Transformer<16, 1, RMSNorm, SwiGLU, Context<4, 0>>{}(ctx, x);
#else
  return Transformer<16, 1, RMSNorm, SwiGLU, Context<4, 0>>{}(ctx, x, None{}, x);
#endif
}
