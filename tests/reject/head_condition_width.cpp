// reject: inner-extent.*24 == 16|24 == 16.*inner-extent
// A DDT head that is told by tokens of another width than its trunk's.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/dit.hpp>

using namespace sfumato;

using Trunk = DiTTrunk<16, 1, 2>;
#if defined(SFUMATO_REJECT)
constexpr int told = 24;
#else
constexpr int told = 16;
#endif
auto f(Count& ctx) {
  return Head<DDT<32, 1, 2>>::Layer<Trunk, 8>{}(ctx, Count::input<Shape<dynamic, 4, 8>>(1), Count::input<Shape<dynamic, 4, told>>(1), Count::input<Shape<dynamic, told>>(1));
}
