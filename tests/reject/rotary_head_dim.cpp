// reject: rotary-head-dim.*RotaryHeadDim<10>|RotaryHeadDim<10>.*rotary-head-dim
// 2-D rotary embedding turns pairs along two axes: a head of 10 is 2 too wide.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

template <int Width> using Trunk = Transformer<Width, 1, RMSNorm, SwiGLU, Heads<4>, Rotary>;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 40>> x, Value<Count, Shape<dynamic, 4, 48>> wide) {
#if defined(SFUMATO_REJECT)
  return Trunk<40>{}(ctx, x);
  (void)wide;
#else
  return Trunk<48>{}(ctx, wide);
  (void)x;
#endif
}
