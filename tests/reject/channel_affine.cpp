// reject: batched-rank
// Constants by channel for what has no batch.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/elementwise.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
using Images = Shape<8, 3, 4, 4>;
#else
using Images = Shape<dynamic, 3, 4, 4>;
#endif
auto f(Count& ctx, Value<Count, Images> x) { return ops::channel_affine(ctx, x, std::array<double, 3>{1, 1, 1}, std::array<double, 3>{}); }
