// reject: inner-extent.*InnerExtent<.*name::linear, .*Shape<-1, 4, 16>, .*Shape<8, 12>, 16, 12>|InnerExtent<.*name::linear, .*Shape<-1, 4, 16>, .*Shape<8, 12>, 16, 12>.*inner-extent
// A linear layer of 12 channels on values of 16.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/layers.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return layer::Linear<12, 8>{}(ctx, x);
#else
  return layer::Linear<16, 8>{}(ctx, x);
#endif
}
