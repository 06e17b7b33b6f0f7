// reject: stride-divides.*StrideDivides<5, 2>|StrideDivides<5, 2>.*stride-divides
// A grid of odd side, halved.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 25, 8>> x, Value<Count, Shape<dynamic, 36, 8>> good, const Param<Shape<4, 8, 3, 3>>& weight) {
#if defined(SFUMATO_REJECT)
  return ops::convolution<3, 2>(ctx, x, weight, None{});
  (void)good;
#else
  return ops::convolution<3, 2>(ctx, good, weight, None{});
  (void)x;
#endif
}
