// reject: same-colours.*HalfColours.*ImageNetColours|HalfColours.*ImageNetColours.*same-colours
// SigLIP2's tokens, and a decoder that paints in ImageNet's colours.
#include <sfumato/models/rae.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
RAE<SigLIP2_B, DiTDH_S<>, ViTDecoder_B<>> models;
#else
RAE<SigLIP2_B, DiTDH_S<>, ViTDecoder_B<768, 16, 16, HalfColours>> models;
#endif
