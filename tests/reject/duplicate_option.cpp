// reject: duplicate-option.*2 .= 1|2 .= 1.*duplicate-option
// Two numbers of heads.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
Transformer<64, 2, RMSNorm, SwiGLU, Heads<4>, Heads<2>> model;
#else
Transformer<64, 2, RMSNorm, SwiGLU, Heads<4>> model;
#endif
