// reject: leading-batch.*batched|batched.*leading-batch
// A slice at run time of a view without a run-time batch.
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/tensor/tensor.hpp>

using namespace sfumato;

void f(View<float, Shape<dynamic, 4>, backend::Reference> x, View<float, Shape<8, 4>, backend::Reference> y) {
#if defined(SFUMATO_REJECT)
  y.slice(1, 2);
  (void)x;
#else
  x.slice(1, 2);
  (void)y;
#endif
}
