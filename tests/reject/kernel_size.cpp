// reject: kernel-size.*KernelSize<4, 8>|KernelSize<4, 8>.*kernel-size
// A convolution of four taps, none of which is the middle.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 8, 16>> x) {
  const auto convolved = [&]<int Kernel>(std::integral_constant<int, Kernel>) { return ops::circular_convolution<Kernel>(ctx, x, Param<Shape<4, 16, Kernel>>{}, None{}); };
#if defined(SFUMATO_REJECT)
  return convolved(std::integral_constant<int, 4>{});
#else
  return convolved(std::integral_constant<int, 5>{});
#endif
}
