// reject: same-shape.*Shape<12>.*Shape<16>|Shape<12>.*Shape<16>.*same-shape
// A norm whose weight has another width.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/layers.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return RMSNorm::Layer<12>{}(ctx, x);
#else
  return RMSNorm::Layer<16>{}(ctx, x);
#endif
}
