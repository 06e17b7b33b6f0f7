// reject: kernel-size.*9 <= 8|9 <= 8.*kernel-size
// Nine taps on a ring of eight places: one would be seen twice.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 8, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::unfold_circular<9>(ctx, x);
#else
  return ops::unfold_circular<7>(ctx, x);
#endif
}
