// reject: teacher-width.*24 == 16|24 == 16.*teacher-width
// A class token of 24 values, noised as one of 16.
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/sit_objective.hpp>

using namespace sfumato;

using Teacher = VisionEncoder<EncoderInput<28, 7, 4, Interpolation::cubic, GreyColours>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;
template <int Dim> using Model = SiT<ImagePatches<8, 4, 2, 10>, SiTTrunk<32, 2, 2>, ClassToken<Dim>>;

void f() {
#if defined(SFUMATO_REJECT)
  SiTObjective<Teacher>::require_sound<Model<24>>();
#else
  SiTObjective<Teacher>::require_sound<Model<16>>();
#endif
}
