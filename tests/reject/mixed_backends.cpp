// reject: mixed-backends.*Cpu.*Reference|Cpu.*Reference.*mixed-backends
// A value of one backend given to the context of another.
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/ops/activation.hpp>

using namespace sfumato;

void f(Run<backend::Cpu>& ctx, Run<backend::Reference>& other, Value<Run<backend::Cpu>, Shape<dynamic, 16>> x, Value<Run<backend::Reference>, Shape<dynamic, 16>> y) {
#if defined(SFUMATO_REJECT)
  ops::silu(ctx, y);
  ops::silu(other, x);
#else
  ops::silu(ctx, x);
  ops::silu(other, y);
#endif
}
