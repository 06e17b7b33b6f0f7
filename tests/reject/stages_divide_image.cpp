// reject: stages-divide-image.*StagesDivideImage<28, 8>|StagesDivideImage<28, 8>.*stages-divide-image
// 28 pixels, halved three times.
#include <sfumato/models/autoencoder_kl.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
static_assert(AutoencoderKL<28, 1, 4, Stages<16, 16, 16, 16>, 1, 4>::latent_size > 0);
#else
static_assert(AutoencoderKL<32, 1, 4, Stages<16, 16, 16, 16>, 1, 4>::latent_size == 4);
#endif
