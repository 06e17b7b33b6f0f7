// reject: einsum-extent.*EinsumExtent<.*name::einsum, .*Shape<-1, 4, 16>, .*Shape<-1, 12, 8>, .*, 16, 8>|EinsumExtent<.*name::einsum, .*Shape<-1, 4, 16>, .*Shape<-1, 12, 8>, .*, 16, 8>.*einsum-extent
// The letter d names 16 channels on the left and 8 on the right.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/einsum.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x, Value<Count, Shape<dynamic, 12, 8>> w, Value<Count, Shape<dynamic, 12, 16>> good) {
#if defined(SFUMATO_REJECT)
  return ops::einsum<"b n d, b m d -> b n m">(ctx, x, w);
  (void)good;
#else
  return ops::einsum<"b n d, b m d -> b n m">(ctx, x, good);
  (void)w;
#endif
}
