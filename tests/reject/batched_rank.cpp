// reject: batched-rank.*another number of axes
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/movement.hpp>

using namespace sfumato;

constexpr int patches() {
  Count count;
#ifdef SFUMATO_REJECT
  const auto x = Count::input<Shape<dynamic, 4, 4>>(1);
#else
  const auto x = Count::input<Shape<dynamic, 1, 4, 4>>(1);
#endif
  return static_cast<int>(ops::patchify<2, ops::PatchOrder::channel_row_column>(count, x).batch);
}
static_assert(patches() == 1);
