// reject: patch-divides-image.*PatchDividesImage<28, 8>|PatchDividesImage<28, 8>.*patch-divides-image
// Patches of 8 do not fill an image of 28: 4 pixels are left.
#include <sfumato/models/jit.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
ImagePatches<28, 1, 8, 10> input;
#else
ImagePatches<28, 1, 7, 10> input;
#endif
