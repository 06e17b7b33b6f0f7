// reject: activation-function
// An activation without a derivative.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/activation.hpp>

using namespace sfumato;

struct Cube {
  template <class T> static T value(T x) { return x * x * x; }
#ifndef SFUMATO_REJECT
  template <class T> static T derivative(T x) { return 3 * x * x; }
#endif
};
auto f(Count& ctx, Value<Count, Shape<dynamic, 4>> x) { return ops::activation(ctx, x, Cube{}); }
