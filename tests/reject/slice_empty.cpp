// reject: slice-range.*2 . 2|2 . 2.*slice-range
// An empty slice.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::slice<axis::tokens, 2, 2>(ctx, x);
#else
  return ops::slice<axis::tokens, 1, 2>(ctx, x);
#endif
}
