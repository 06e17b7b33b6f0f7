// reject: packed-width.*PackedWidth<.*attention, 16, 3>|PackedWidth<.*attention, 16, 3>.*packed-width
// Queries, keys and values in a width that is no multiple of three.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/attention.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 24>> x, Value<Count, Shape<dynamic, 4, 16>> y) {
#if defined(SFUMATO_REJECT)
  return ops::self_attention<2>(ctx, y, None{}, None{}, 1e-6);
  (void)x;
#else
  return ops::self_attention<2>(ctx, x, None{}, None{}, 1e-6);
  (void)y;
#endif
}
