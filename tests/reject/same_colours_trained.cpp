// reject: same-colours.*HalfColours.*ImageNetColours|HalfColours.*ImageNetColours.*same-colours
// A decoder that is trained to paint in other colours than its encoder sees.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/train/decoder_objective.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/trainer.hpp>

using namespace sfumato;
using Cpu = backend::Cpu;

using Encoder = VisionEncoder<EncoderInput<8, 4, 2, Interpolation::cubic, HalfColours>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;
#if defined(SFUMATO_REJECT)
using Colours = ImageNetColours;
#else
using Colours = HalfColours;
#endif
using Decoder = ViTDecoder<LatentTokens<2, 16, 1>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, 4, Colours>;

struct Nothing {
  Index size() const { return 1; }
  int load(Index, bool, float*) const { return 0; }
};
void f(Trainer<Decoder, Decoder::ImageShape, DecoderObjective<Encoder, Cpu, float, FeatureDistance<Encoder, Cpu, float, 0>>, Cpu>& trainer) { trainer.step(Nothing{}); }
