// reject: mixed-elements.*float.*double|float.*double.*mixed-elements
// A value in f64 given to a context in f32.
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/ops/elementwise.hpp>

using namespace sfumato;

using Single = Run<backend::Reference, float>;
using Double = Run<backend::Reference, double>;

void f(Single& ctx, Value<Single, Shape<dynamic, 16>> x, Double& wide, Value<Double, Shape<dynamic, 16>> y) {
#if defined(SFUMATO_REJECT)
  ops::add(ctx, x, y);
  (void)wide;
#else
  ops::add(ctx, x, x);
  ops::add(wide, y, y);
#endif
}
