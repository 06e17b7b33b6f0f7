// reject: heads-divide-width.*HeadsDivideWidth<64, 6>|HeadsDivideWidth<64, 6>.*heads-divide-width
// Six heads on a width of 64.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
Transformer<64, 2, RMSNorm, SwiGLU, Heads<6>> model;
#else
Transformer<64, 2, RMSNorm, SwiGLU, Heads<8>> model;
#endif
