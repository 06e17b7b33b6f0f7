// The classifier that scores generated Fashion-MNIST images; its weights are in examples/data.
#pragma once

#include <sfumato/models/classifier.hpp>
#include <sfumato/models/jit.hpp>

namespace example {

using FashionClassifier =
    sfumato::Classifier<sfumato::ImagePatches<28, 1, 4, 10>,
                        sfumato::Transformer<96, 4, sfumato::RMSNorm, sfumato::SwiGLU, sfumato::Heads<3>, sfumato::QKNorm, sfumato::Rotary>>;
using FashionImage = sfumato::Shape<sfumato::dynamic, 1, 28, 28>;

}  // namespace example
