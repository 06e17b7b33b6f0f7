// reject: einsum-index.*EinsumIndex<'n', 2, |EinsumIndex<'n', 2, .*einsum-index
// A letter twice in one operand.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/einsum.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x, Value<Count, Shape<dynamic, 12, 8>> w, Value<Count, Shape<dynamic, 12, 16>> good) {
#if defined(SFUMATO_REJECT)
  return ops::einsum<"b n n, b m d -> b n m d">(ctx, x, good);
  (void)w;
#else
  return ops::einsum<"b n d, b m d -> b n m">(ctx, x, good);
  (void)w;
#endif
}
