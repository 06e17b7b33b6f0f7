// reject: norm-policy.*SwiGLU|SwiGLU.*norm-policy
// Norm and activation in the wrong order.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
rule::IsNorm<SwiGLU, NormPolicy<SwiGLU>> norm;
#else
rule::IsNorm<RMSNorm, NormPolicy<RMSNorm>> norm;
#endif
Transformer<64, 2, LayerNorm, GELU> model;
