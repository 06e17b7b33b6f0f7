// reject: inner-extent.*InnerExtent<.*name::matmul, .*Shape<-1, 4, 16>, .*Shape<-1, 4, 16>, 16, 4>|InnerExtent<.*name::matmul, .*Shape<-1, 4, 16>, .*Shape<-1, 4, 16>, 16, 4>.*inner-extent
// A product of values whose inner extents differ.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/linear.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::matmul(ctx, x, x);
#else
  return ops::matmul<true>(ctx, x, x);
#endif
}
