// reject: permutation-rank.*2 == 3|2 == 3.*permutation-rank
// A permutation that names two of three axes.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::permute<0, 1>(ctx, x);
#else
  return ops::permute<0, 2, 1>(ctx, x);
#endif
}
