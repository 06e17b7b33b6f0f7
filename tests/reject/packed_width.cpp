// reject: packed-width.*PackedWidth<.*swiglu, 15, 2>|PackedWidth<.*swiglu, 15, 2>.*packed-width
// A gate and a value in an odd width.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/activation.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 16>> x, Value<Count, Shape<dynamic, 15>> odd) {
#if defined(SFUMATO_REJECT)
  return ops::swiglu(ctx, odd);
  (void)x;
#else
  return ops::swiglu(ctx, x);
  (void)odd;
#endif
}
