// The frozen encoder of the Fashion-MNIST examples: `pretrain_encoder` trains it.
#pragma once

#include <sfumato/models/masked_autoencoder.hpp>

namespace example {

/// 28 x 28 grey images in patches of 7: 16 tokens of 128 values, of which a patch's 49 pixels make no more than 49 independent ones.
using FashionEncoder = sfumato::VisionEncoder<sfumato::EncoderInput<28, 7, 4, sfumato::Interpolation::cubic, sfumato::GreyColours>,
                                              sfumato::Transformer<128, 6, sfumato::LayerNorm, sfumato::GELU, sfumato::Heads<4>>, sfumato::LayerNormNoAffine, false>;

}  // namespace example
