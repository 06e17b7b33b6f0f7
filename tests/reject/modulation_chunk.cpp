// reject: slice-range.*64 .= 48|64 .= 48.*slice-range
// A gate from the fourth of three chunks of a modulation.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/norm.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x, Value<Count, Shape<dynamic, 48>> m) {
#if defined(SFUMATO_REJECT)
  return ops::gated_residual<3>(ctx, x, x, m);
#else
  return ops::gated_residual<2>(ctx, x, x, m);
#endif
}
