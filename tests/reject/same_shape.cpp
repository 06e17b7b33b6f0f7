// reject: same-shape.*-1, 4, 16>.*-1, 16, 4>|-1, 4, 16>.*-1, 16, 4>.*same-shape
// A sum of values of different shapes.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::add(ctx, x, ops::permute<0, 2, 1>(ctx, x));
#else
  return ops::add(ctx, x, x);
#endif
}
