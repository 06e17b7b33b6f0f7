// reject: leading-batch.*LeadingBatch<false>|LeadingBatch<false>.*leading-batch
// An extent of zero.
#include <sfumato/tensor/shape.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
Shape<dynamic, 0> shape;
#else
Shape<dynamic, 1> shape;
#endif
