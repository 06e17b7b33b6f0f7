// reject: same-shape.*must have the same shape
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/norm.hpp>

using namespace sfumato;

constexpr int normed() {
  Count count;
#ifdef SFUMATO_REJECT
  const Param<Shape<3>> bias{};
#else
  const Param<Shape<8>> bias{};
#endif
  return static_cast<int>(ops::norm<NormKind::layer>(count, Count::input<Shape<dynamic, 4, 8>>(1), Param<Shape<8>>{}, bias, 1e-6).batch);
}
static_assert(normed() == 1);
