// reject: bottleneck-width.*64 .= 48|64 .= 48.*bottleneck-width
// A bottleneck of 64 that compresses nothing: the patch has 48 values. Waived by name, it is let pass.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Width, int Patch, class... Options> using Model = JiT<ImagePatches<16, 3, Patch, 10>, Transformer<Width, 2, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Options...>;

static_assert(cost_of<Model<96, 4, Bottleneck<32>>>(1).macs > 0);
#if defined(SFUMATO_REJECT)
static_assert(cost_of<Model<96, 4, Bottleneck<64>>>(1).macs > 0);
#else
static_assert(cost_of<Model<96, 4, Bottleneck<64>, Waive<rule::bottleneck_width>>>(1).macs > 0);
#endif
