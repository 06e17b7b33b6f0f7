// reject: static-axis.*-1 > 0|-1 > 0.*static-axis
// A sum over the run-time batch, which is no static axis.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::sum<axis::batch>(ctx, x);
#else
  return ops::sum<axis::tokens>(ctx, x);
#endif
}
