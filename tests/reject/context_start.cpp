// reject: context-start.*3 . 3|3 . 3.*context-start
// Context tokens in front of a fourth block of three.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

template <int Start> using Trunk = Transformer<16, 3, RMSNorm, SwiGLU, Context<4, Start>>;

auto f(Count& ctx, Value<Count, Shape<dynamic, 4, 16>> x) {
#if defined(SFUMATO_REJECT)
  return Trunk<3>{}(ctx, x, None{}, x);
#else
  return Trunk<2>{}(ctx, x, None{}, x);
#endif
}
