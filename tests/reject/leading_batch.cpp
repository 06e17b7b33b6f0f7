// reject: leading-batch.*LeadingBatch<false>|LeadingBatch<false>.*leading-batch
// A run-time extent that does not lead.
#include <sfumato/tensor/shape.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
Shape<16, dynamic, 4> shape;
#else
Shape<dynamic, 16, 4> shape;
#endif
