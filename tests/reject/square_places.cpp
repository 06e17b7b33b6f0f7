// reject: square-places.*12 == 16|12 == 16.*square-places
// Twelve places, which are no square grid.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 12, 8>> x, Value<Count, Shape<dynamic, 16, 8>> good, const Param<Shape<4, 8, 3, 3>>& weight) {
#if defined(SFUMATO_REJECT)
  return ops::convolution<3>(ctx, x, weight, None{});
  (void)good;
#else
  return ops::convolution<3>(ctx, good, weight, None{});
  (void)x;
#endif
}
