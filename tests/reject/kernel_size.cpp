// reject: kernel-size.*KernelSize<4, 8>|KernelSize<4, 8>.*kernel-size
// A convolution of four taps, none of which is the middle.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 8, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::unfold_circular<4>(ctx, x);
#else
  return ops::unfold_circular<5>(ctx, x);
#endif
}
