// reject: same-latents.*9 == 4|9 == 4.*same-latents
// A diffusion model of more tokens than the encoder's.
#include <sfumato/models/rae.hpp>

using namespace sfumato;

using Encoder = VisionEncoder<EncoderInput<8, 4, 2>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;  // 4 tokens of 16
template <class Input> using Diffusion = DiT<Input, Transformer<32, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>>;
template <class Input> using Decoder = ViTDecoder<Input, Transformer<32, 1, LayerNorm, GELU, Heads<2>>, 4>;

#if defined(SFUMATO_REJECT)
RAE<Encoder, Diffusion<LatentTokens<3, 16, 10>>, Decoder<LatentTokens<2, 16, 10>>> models;
#else
RAE<Encoder, Diffusion<LatentTokens<2, 16, 10>>, Decoder<LatentTokens<2, 16, 10>>> models;
#endif
