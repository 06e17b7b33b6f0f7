// reject: unknown-option.*Bottleneck<8>|Bottleneck<8>.*unknown-option
// An option of another template.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
Transformer<64, 2, RMSNorm, SwiGLU, Bottleneck<8>> model;
#else
Transformer<64, 2, RMSNorm, SwiGLU, QKNorm> model;
#endif
