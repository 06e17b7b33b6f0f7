// reject: token-dim.*16 == 12|16 == 12.*token-dim
// Tokens of 16 values to patches of 12.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return ops::unpatchify<2, 3, ops::PatchOrder::row_column_channel>(ctx, x);
#else
  return ops::unpatchify<4, 1, ops::PatchOrder::row_column_channel>(ctx, x);
#endif
}
