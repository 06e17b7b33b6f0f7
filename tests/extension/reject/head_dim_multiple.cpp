// reject: head-dim-multiple.*6 == 0|6 == 0.*head-dim-multiple
// A rule of one's own, with a design that keeps it, one that waives it, and one that breaks it.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

template <int Remainder> struct HeadDimRemainder {
  static_assert(Remainder == 0, "[head-dim-multiple] this machine's attention wants heads of a multiple of 16 channels");
};
struct head_dim_multiple : rule::waivable {};
template <class Design> struct HeadDimMultiple : unless_waived<Design, head_dim_multiple, HeadDimRemainder<Design::head_dim % 16>> {};

template <int Width, class... Options> using Trunk = Transformer<Width, 2, RMSNorm, SwiGLU, Heads<6>, Require<HeadDimMultiple>, Options...>;
template <class Design> constexpr Index macs = cost_of<Design, Shape<dynamic, 16, Design::width>>(1).macs;

static_assert(macs<Trunk<192>> > 0);
static_assert(macs<Trunk<132, Waive<head_dim_multiple>>> > 0);
#ifdef SFUMATO_REJECT
static_assert(macs<Trunk<132>> > 0);
#endif
