// reject: same-shape.*must have the same shape
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/norm.hpp>

using namespace sfumato;

constexpr int normed() {
  Count count;
#ifdef SFUMATO_REJECT
  const auto modulation = Count::input<Shape<dynamic, 2, 16>>(1);  // of two tokens, where there are four
#else
  const auto modulation = Count::input<Shape<dynamic, 16>>(1);
#endif
  const auto y = ops::modulated_norm<NormKind::rms, 0, 1>(count, Count::input<Shape<dynamic, 4, 8>>(1), None{}, None{}, modulation, 1e-6);
  return static_cast<int>(y.batch);
}
static_assert(normed() == 1);
