// reject: scalar-loss.*16L? == 1|16L? == 1.*scalar-loss
// A backward pass from something that is no scalar.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/ops/elementwise.hpp>

using namespace sfumato;

using Train = Record<backend::Reference>;

void f(Train& ctx, Value<Train, Shape<dynamic, 16>> x, Value<Train, Shape<>> loss) {
#if defined(SFUMATO_REJECT)
  ctx.backward(x);
  (void)loss;
#else
  ctx.backward(loss);
  (void)x;
#endif
}
