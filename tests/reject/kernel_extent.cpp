// reject: kernel-size.*9 <= 8|9 <= 8.*kernel-size
// Nine taps on a ring of eight places: one would be seen twice.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/window.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 8, 16>> x) {
  const auto convolved = [&]<int Kernel>(std::integral_constant<int, Kernel>) { return ops::circular_convolution<Kernel>(ctx, x, Param<Shape<4, 16, Kernel>>{}, None{}); };
#if defined(SFUMATO_REJECT)
  return convolved(std::integral_constant<int, 9>{});
#else
  return convolved(std::integral_constant<int, 7>{});
#endif
}
