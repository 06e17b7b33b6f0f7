// reject: grid-solver.*AdamsBashforth3|AdamsBashforth3.*grid-solver
// A solver whose weights are for steps of one size, on a grid of others.
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/sampler.hpp>

using namespace sfumato;

using Ctx = Run<backend::Reference>;
using Grid = ShiftedGrid<ShiftBy<std::ratio<2>>>;

#if defined(SFUMATO_REJECT)
using Method = AdamsBashforth3;
#else
using Method = Heun;
#endif
auto f(Ctx& ctx, Value<Ctx, Shape<dynamic, 4>> z) {
  return integrate<Method, Grid>(ctx, z, {.steps = 4}, [](const auto& at, double) { return at; }, NoProgress{});
}
