// reject: backend-header.*Mine|Mine.*backend-header
// A backend whose kernels nobody included.
#include <sfumato/backend/kernels.hpp>

using namespace sfumato;

struct Mine {
  static constexpr const char* name = "mine";
};

#if defined(SFUMATO_REJECT)
void f(Mine& mine, float* x) { Kernels<Mine>::fill(mine, 1, 0.0, x); }
#else
static_assert(sizeof(Mine) == 1);
#endif
