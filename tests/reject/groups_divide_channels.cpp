// reject: groups-divide-channels.*GroupsDivideChannels<48, 32>|GroupsDivideChannels<48, 32>.*groups-divide-channels
// 48 channels in 32 groups.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/group_norm.hpp>

using namespace sfumato;

auto f(Count& ctx, Value<Count, Shape<dynamic, 16, 48>> x, const Param<Shape<48>>& weight, const Param<Shape<48>>& bias) {
#if defined(SFUMATO_REJECT)
  return ops::group_norm<32>(ctx, x, weight, bias, 1e-6);
#else
  return ops::group_norm<16>(ctx, x, weight, bias, 1e-6);
#endif
}
