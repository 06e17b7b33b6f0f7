// reject: head-input
// A head that sees noisy tokens on a model of pixels.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/models/jit.hpp>

using namespace sfumato;

using Trunk = Transformer<64, 1, RMSNorm, SwiGLU, Rotary, AdaLNZero>;
#if defined(SFUMATO_REJECT)
using Model = JiT<ImagePatches<16, 3, 4, 10>, Trunk, Head<DDT<64, 1>>>;
#else
using Model = DiT<LatentTokens<4, 48, 10>, Trunk, Head<DDT<64, 1>>>;
#endif
static_assert(parameter_count<Model>() > 0);
