// reject: square-places.*12 == 16|12 == 16.*square-places
// Twelve places, which are no square grid.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 12, 8>> x, Value<Count, Shape<dynamic, 16, 8>> good) {
#if defined(SFUMATO_REJECT)
  return ops::unfold<3>(ctx, x);
  (void)good;
#else
  return ops::unfold<3>(ctx, good);
  (void)x;
#endif
}
