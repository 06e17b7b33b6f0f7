// reject: stages-given.*StagesGiven<2, 0>|StagesGiven<2, 0>.*stages-given
// Stages without blocks.
#include <sfumato/models/autoencoder_kl.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
static_assert(AutoencoderKL<32, 1, 4, Stages<16, 16>, 0, 4>::latent_size > 0);
#else
static_assert(AutoencoderKL<32, 1, 4, Stages<16, 16>, 1, 4>::latent_size == 16);
#endif
