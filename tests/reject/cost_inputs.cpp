// reject: cost-inputs
// The cost of a layer, whose inputs may have many shapes, without one.
#include <sfumato/nn/layers.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
static_assert(cost_of<layer::Linear<16, 32>>(1).macs > 0);
#else
static_assert(cost_of<layer::Linear<16, 32>, Shape<dynamic, 16>>(1).macs == 16 * 32);
#endif
