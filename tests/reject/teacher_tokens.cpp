// reject: teacher-tokens.*49 == 16|49 == 16.*teacher-tokens
// A teacher of 7 x 7 tokens for latents of 4 x 4 patches.
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/sit_objective.hpp>

using namespace sfumato;

template <int Patch> using Teacher = VisionEncoder<EncoderInput<28, Patch, 28 / Patch, Interpolation::cubic, GreyColours>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;
using Model = REPA<ImagePatches<8, 4, 2, 10>, SiTTrunk<16, 2, 2>, 1, 16>;

void f() {
#if defined(SFUMATO_REJECT)
  SiTObjective<Teacher<4>>::require_sound<Model>();
#else
  SiTObjective<Teacher<7>>::require_sound<Model>();
#endif
}
