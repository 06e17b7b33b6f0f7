// reject: qk-weights.*one for keys, or neither
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/attention.hpp>

using namespace sfumato;

constexpr int attended() {
  Count count;
  const Param<Shape<4>> weight{};
#ifdef SFUMATO_REJECT
  const None other{};
#else
  const Param<Shape<4>> other{};
#endif
  return static_cast<int>(ops::self_attention<2>(count, Count::input<Shape<dynamic, 4, 24>>(1), weight, other, 1e-6).batch);
}
static_assert(attended() == 1);
