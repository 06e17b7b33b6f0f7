// reject: even-frequencies.*even number of channels
#include <sfumato/autodiff/count.hpp>
#include <sfumato/ops/embedding.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
constexpr int channels = 7;
#else
constexpr int channels = 8;
#endif
constexpr int embedded() {
  Count count;
  return static_cast<int>(ops::sinusoidal<channels>(count, std::span(static_cast<const double*>(nullptr), 3)).batch);
}
static_assert(embedded() == 3);
