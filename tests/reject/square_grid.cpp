// reject: square-grid.*6 == 9|6 == 9.*square-grid
// 2-D rotary embedding of six tokens, which are no square; with two of them conditioning, it is.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 6, 16>> x) {
#if defined(SFUMATO_REJECT)
  return Transformer<16, 2, RMSNorm, SwiGLU, Rotary>{}(ctx, x);
#else
  return Transformer<16, 2, RMSNorm, SwiGLU, Rotary, Context<2, 0>>{}(ctx, ops::slice<axis::tokens, 0, 4>(ctx, x), None{}, ops::slice<axis::tokens, 4, 6>(ctx, x));
#endif
}
