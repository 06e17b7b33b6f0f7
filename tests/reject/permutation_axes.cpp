// reject: permutation-axes.*0, 1, 1>|0, 1, 1>.*permutation-axes
// A permutation that names an axis twice.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::permute<0, 1, 1>(ctx, x);
#else
  return ops::permute<0, 2, 1>(ctx, x);
#endif
}
