// reject: leading-batch.*LeadingBatch<false>|LeadingBatch<false>.*leading-batch
// A run-time extent that does not lead.
#include <sfumato/tensor/shape.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
Shape<16, any, 4> shape;
#else
Shape<any, 16, 4> shape;
#endif
