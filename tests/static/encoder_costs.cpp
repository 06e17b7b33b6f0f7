// Parameters and multiply-adds of the published vision encoders (RAE, section 3 and its code).
#include <sfumato/autodiff/count.hpp>
#include <sfumato/design/published_cost.hpp>
#include <sfumato/models/discriminator.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/models/vit_decoder.hpp>

namespace {

using namespace sfumato;

// With the mask token and the last norm's weight and bias, which this use of them leaves out.
template <class Encoder> constexpr Index as_published = parameter_count<Encoder>() + 3 * Encoder::width;
static_assert(as_published<DINOv2_S<>> == 22'058'112 && as_published<DINOv2_B<>> == 86'583'552 && as_published<DINOv2_L<>> == 304'372'736);

static_assert(parameter_count<SigLIP2_B>() == 85'841'664 && parameter_count<MAE_B>() == 85'797'120);  // ours
static_assert(decltype(MAE_B::norm)::epsilon == 1e-12 && decltype(SigLIP2_B::norm)::epsilon == 1e-6 &&
              decltype(DINOv2_B<>::norm)::epsilon == 1e-6);
static_assert(decltype(DINO_S8::trunk)::norm::Layer<384>::epsilon == 1e-6 && decltype(DINO_S8::norm)::epsilon == 1e-6);
static_assert(decltype(DINOv2_B<>::trunk)::norm::Layer<768>::epsilon == 1e-6 && decltype(ViTDecoder_XL<>::norm)::epsilon == 1e-12);

// What no count sees: activations, heads, where decoders start, how positions are resampled, colours.
using LayerNorm12 = LayerNormPolicy<true, std::ratio<1, 1'000'000'000'000>>;
template <class Model, int Width, int Depth, class... Options> constexpr bool trunk_is = std::is_same_v<decltype(Model::trunk), Transformer<Width, Depth, Options...>>;
static_assert(trunk_is<DINOv2_S<>, 384, 12, LayerNorm, GELU, Heads<6>, LayerScale<std::ratio<1>>> && trunk_is<DINOv2_B<>, 768, 12, LayerNorm, GELU, Heads<12>, LayerScale<std::ratio<1>>> &&
              trunk_is<DINOv2_L<>, 1024, 24, LayerNorm, GELU, Heads<16>, LayerScale<std::ratio<1>>>);
static_assert(trunk_is<SigLIP2_B, 768, 12, LayerNorm, GELUTanh> && trunk_is<MAE_B, 768, 12, LayerNorm12, GELU> && trunk_is<DINO_S8, 384, 12, LayerNorm, GELUTanh, Heads<6>>);
static_assert(decltype(SigLIP2_B::trunk)::heads == 12 && decltype(MAE_B::trunk)::heads == 12);
static_assert(trunk_is<ViTDecoder_B<>, 768, 12, LayerNorm12, GELU, Heads<12>, LinearInit<init::UniformFanIn>> && trunk_is<ViTDecoder_L<>, 1024, 24, LayerNorm12, GELU, Heads<16>, LinearInit<init::UniformFanIn>> &&
              trunk_is<ViTDecoder_XL<>, 1152, 28, LayerNorm12, GELU, Heads<16>, LinearInit<init::UniformFanIn>, MlpRatio<32, 9>>);
template <class Input, class Trunk, class Norm, bool ClassToken, int Registers> constexpr bool sees(const VisionEncoder<Input, Trunk, Norm, ClassToken, Registers>&, Interpolation positions, double red) {
  return Input::resampling == positions && Input::Colours::mean[0] == red;
}
static_assert(sees(DINOv2_S<>{}, Interpolation::cubic_antialiased, 0.485) && sees(DINOv2_B<448>{}, Interpolation::cubic_antialiased, 0.485) && sees(DINOv2_L<>{}, Interpolation::cubic_antialiased, 0.485) &&
              sees(MAE_B{}, Interpolation::cubic, 0.485) && sees(SigLIP2_B{}, Interpolation::cubic, 0.5) && sees(DINO_S8{}, Interpolation::cubic, 0.485));
static_assert(std::is_same_v<RAEDiscriminator, Discriminator<DINO_S8, 9, 2, 5, 8, 11>>);

// Linear layers alone, in hundredths of giga.
template <class Encoder> constexpr Index encoder_macs = linear_macs<Encoder>(cost_of<Encoder>(1).macs);
constexpr bool rounds_to(Index macs, Index hundredths) { return (macs + 5'000'000) / 10'000'000 == hundredths; }
static_assert(rounds_to(encoder_macs<DINOv2_S<>>, 560) && rounds_to(encoder_macs<DINOv2_B<>>, 2228) && rounds_to(encoder_macs<DINOv2_L<>>, 7897));

// 16 x 16 tokens of an image, whatever its encoder; 32 x 32 of one twice as wide.
static_assert(DINOv2_S<>::tokens == 256 && SigLIP2_B::tokens == 256 && MAE_B::tokens == 256 && DINOv2_B<448>::tokens == 1024);
static_assert(DINOv2_B<>::prefix == 5 && SigLIP2_B::prefix == 0 && MAE_B::prefix == 1 && DINOv2_B<>::positions == 1370 && MAE_B::positions == 197 && SigLIP2_B::positions == 256);

// The decoders, for tokens of 768 values: trainable parameters, and the fixed table of positions; linear layers alone, of 257 tokens.
template <class Decoder> constexpr bool decoder_has(Index trainable, Index fixed) {
  return parameter_count<Decoder>() == trainable && parameter_count<Decoder>(true) == trainable + fixed;
}
static_assert(decoder_has<ViTDecoder_B<>>(86'237'952, 197'376) && decoder_has<ViTDecoder_L<>>(303'887'104, 263'168) && decoder_has<ViTDecoder_XL<>>(415'056'640, 296'064));
template <class Decoder> constexpr Index decoder_macs = linear_macs<Decoder>(cost_of<Decoder, typename Decoder::LatentShape>(1).macs);
static_assert(rounds_to(decoder_macs<ViTDecoder_B<>>, 2213) && rounds_to(decoder_macs<ViTDecoder_L<>>, 7801) && rounds_to(decoder_macs<ViTDecoder_XL<>>, 10656));

// Of 512 pixels' tokens, and of 256 painted twice as large: sides, and what grows: the table of positions, or the last layer.
static_assert(ViTDecoder_XL<>::side == 256 && ViTDecoder_XL<768, 16, 32>::side == 512 && ViTDecoder_XL<768, 32>::side == 512 && ViTDecoder_XL<768, 16, 32>::tokens == DINOv2_B<448>::tokens);
static_assert(decoder_has<ViTDecoder_B<768, 16, 32>>(86'237'952, 1025 * 768) && decoder_has<ViTDecoder_L<768, 16, 32>>(303'887'104, 1025 * 1024) &&
              decoder_has<ViTDecoder_XL<768, 16, 32>>(415'056'640, 1025 * 1152));
static_assert(decoder_has<ViTDecoder_XL<768, 32>>(415'056'640 + 3 * 16 * 16 * 3 * 1153, 296'064));

}  // namespace
