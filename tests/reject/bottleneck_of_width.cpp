// reject: bottleneck-width.*100 .= 96|100 .= 96.*bottleneck-width
// A bottleneck wider than the width behind it.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Width, int Patch, class... Options> using Model = JiT<ImagePatches<16, 3, Patch, 10>, Transformer<Width, 2, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Options...>;

#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<96, 8, Bottleneck<100>>>(1).macs > 0);
#else
static_assert(cost_of<Model<96, 8, Bottleneck<90>>>(1).macs > 0);
#endif
