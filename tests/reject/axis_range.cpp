// reject: axis-range.*3 . 3|3 . 3.*axis-range
// A sum over the fourth of three axes.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::sum<3>(ctx, x);
#else
  return ops::sum<2>(ctx, x);
#endif
}
