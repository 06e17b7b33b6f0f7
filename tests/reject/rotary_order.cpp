// reject: rotary-order.*TokensUnordered<false>|TokensUnordered<false>.*rotary-order
// A masked autoencoder whose trunk tells places from the tokens' order, which is random.
#include <sfumato/models/masked_autoencoder.hpp>

using namespace sfumato;

template <class... More> using Trunk = Transformer<16, 1, LayerNorm, GELU, Heads<2>, More...>;
using Encoder = VisionEncoder<EncoderInput<8, 4, 2>, Trunk<>, LayerNormNoAffine, false>;

#if defined(SFUMATO_REJECT)
MaskedAutoencoder<Encoder, Trunk<Rotary>, 1> model;
#else
MaskedAutoencoder<Encoder, Trunk<>, 1> model;
#endif
