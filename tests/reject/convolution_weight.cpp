// reject: same-shape.*SameShape<.*name::convolution, .*Shape<6, 3, 3, 8>, .*Shape<6, 8, 3, 3>|SameShape<.*name::convolution, .*Shape<6, 3, 3, 8>, .*Shape<6, 8, 3, 3>.*same-shape
// A convolution's weight with its channels last: as many numbers, in another order.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 16, 8>> x) {
#if defined(SFUMATO_REJECT)
  return ops::convolution<3>(ctx, x, Param<Shape<6, 3, 3, 8>>{}, None{});
#else
  return ops::convolution<3>(ctx, x, Param<Shape<6, 8, 3, 3>>{}, None{});
#endif
}
