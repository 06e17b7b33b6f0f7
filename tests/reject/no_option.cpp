// reject: unknown-option.*int|int.*unknown-option
// A type that is no option at all.
#include <sfumato/models/jit.hpp>

using namespace sfumato;

using Trunk = Transformer<64, 2, RMSNorm, SwiGLU, AdaLNZero>;
#if defined(SFUMATO_REJECT)
JiT<ImagePatches<16, 3, 4, 10>, Trunk, Head<Linear>, int> model;
#else
JiT<ImagePatches<16, 3, 4, 10>, Trunk> model;
#endif
