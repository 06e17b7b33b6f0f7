// reject: stages-given.*StagesGiven<0, 2>|StagesGiven<0, 2>.*stages-given
// An autoencoder of no stages.
#include <sfumato/models/autoencoder_kl.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
static_assert(AutoencoderKL<32, 1, 4, Stages<>, 2, 4>::latent_size > 0);
#else
static_assert(AutoencoderKL<32, 1, 4, Stages<16>, 2, 4>::latent_size == 32);
#endif
