// reject: colour-channels.*5 .= 4|5 .= 4.*colour-channels
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/elementwise.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
constexpr std::size_t channels = 5;
#else
constexpr std::size_t channels = 4;
#endif
auto f(Count& ctx, Value<Count, Shape<dynamic, int(channels), 8, 8>> x) {
  return ops::channel_affine(ctx, x, std::array<double, channels>{}, std::array<double, channels>{});
}
