// reject: heads-divide-width.*4 == 0|4 == 0.*heads-divide-width
// Seven heads on a width of 64 leave 1 over: 64 % 6 is 4.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
Transformer<64, 2, RMSNorm, SwiGLU, Heads<6>> model;
#else
Transformer<64, 2, RMSNorm, SwiGLU, Heads<8>> model;
#endif
