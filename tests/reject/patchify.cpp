// reject: patch-divides-image.*PatchDividesImage<28, 8>|PatchDividesImage<28, 8>.*patch-divides-image
// The same in the op.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 1, 28, 28>> x) {
#if defined(SFUMATO_REJECT)
  return ops::patchify<8, ops::PatchOrder::channel_row_column>(ctx, x);
#else
  return ops::patchify<7, ops::PatchOrder::channel_row_column>(ctx, x);
#endif
}
