// reject: same-size.*64L? == 60|64L? == 60.*same-size
// A reshape of one sample that loses elements.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/elementwise.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::reshape<Shape<6, 10>>(ctx, x);
#else
  return ops::reshape<Shape<8, 8>>(ctx, x);
#endif
}
