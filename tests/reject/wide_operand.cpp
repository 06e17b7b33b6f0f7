// reject: mixed-elements.*bf16.*float|float.*bf16.*mixed-elements
// A wide residual stream given to an op that takes the context's own elements.
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/ops/activation.hpp>
#include <sfumato/ops/elementwise.hpp>

using namespace sfumato;

using Half = Run<backend::Reference, bf16>;

void f(Half& ctx, Value<Half, Shape<dynamic, 16>> x) {
  const auto wide = ops::widen(ctx, x);
#if defined(SFUMATO_REJECT)
  ops::silu(ctx, wide);
#else
  ops::silu(ctx, ops::narrow(ctx, wide));
#endif
}
