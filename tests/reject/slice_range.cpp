// reject: slice-range.*5 .= 4|5 .= 4.*slice-range
// A slice that leaves its axis.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::slice<axis::tokens, 2, 5>(ctx, x);
#else
  return ops::slice<axis::tokens, 2, 4>(ctx, x);
#endif
}
