// reject: position-width.*(30 % 4.*2 == 0|30 % 4 == 0|divisible by 4)
#include <sfumato/nn/embeddings.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
constexpr int width = 30;
#else
constexpr int width = 32;
#endif
static_assert(layer::SinCosTable<2, width>::rows == 4);
