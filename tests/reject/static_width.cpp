// reject: static-width.*must be static
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/activation.hpp>

using namespace sfumato;

constexpr int softened() {
  Count count;
#ifdef SFUMATO_REJECT
  const auto x = Count::input<Shape<dynamic>>(4);
#else
  const auto x = Count::input<Shape<dynamic, 4>>(4);
#endif
  return static_cast<int>(ops::softmax(count, x).batch);
}
static_assert(softened() == 4);
