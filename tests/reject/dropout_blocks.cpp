// reject: dropout-blocks.*4 .= 3|4 .= 3.*dropout-blocks
// Dropout up to a fourth block of three.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

template <int Last> using Trunk = Transformer<16, 3, RMSNorm, SwiGLU, Dropout<std::ratio<1, 10>, 1, Last>>;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return Trunk<4>{}(ctx, x);
#else
  return Trunk<3>{}(ctx, x);
#endif
}
