// reject: mixed-contexts.*Run.*Record|Run.*Record.*mixed-contexts
// A recorded value given to an inference context.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/ops/activation.hpp>

using namespace sfumato;

using Infer = Run<backend::Reference>;
using Train = Record<backend::Reference>;

void f(Infer& ctx, Value<Infer, Shape<dynamic, 16>> x, Train& tape, Value<Train, Shape<dynamic, 16>> y) {
#if defined(SFUMATO_REJECT)
  ops::silu(ctx, y);
  ops::silu(tape, x);
#else
  ops::silu(ctx, x);
  ops::silu(tape, y);
#endif
}
