// reject: positive-factor.*PositiveFactor<0>|PositiveFactor<0>.*positive-factor
// A grid of no places.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 16, 8>> x) {
#if defined(SFUMATO_REJECT)
  return ops::upsample_nearest<0>(ctx, x);
#else
  return ops::upsample_nearest<3>(ctx, x);
#endif
}
