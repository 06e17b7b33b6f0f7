// reject: batched-rank.*run-time batch in front
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/attention.hpp>

using namespace sfumato;

constexpr int attended() {
  Count count;
#ifdef SFUMATO_REJECT
  const auto qkv = Count::input<Shape<2, 4, 24>>(1);
#else
  const auto qkv = Count::input<Shape<dynamic, 4, 24>>(2);
#endif
  return static_cast<int>(ops::self_attention<2>(count, qkv, None{}, None{}, 1e-6).batch);
}
static_assert(attended() > 0);
