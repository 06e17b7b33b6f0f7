// reject: square-places.*12 == 16|12 == 16.*square-places
// Statistics of twelve tokens, which no file of (channels, side, side) holds.
#include <sfumato/train/latent_statistics.hpp>

using namespace sfumato;

void f(const LatentStatistics<12, 8>& bad, const LatentStatistics<16, 8>& good) {
#if defined(SFUMATO_REJECT)
  bad.save("a.safetensors");
  (void)good;
#else
  good.save("a.safetensors");
  (void)bad;
#endif
}
