// reject: same-shape
// A value for every sample, of the same number of elements but another shape.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
using Added = Shape<8, 4>;
#else
using Added = Shape<4, 8>;
#endif
auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 8>> x, Value<Count, Added> y) { return ops::add_value(ctx, x, y); }
