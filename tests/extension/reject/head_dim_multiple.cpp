// reject: head-dim-multiple.*6 == 0|6 == 0.*head-dim-multiple
// A rule of one's own, with a design that keeps it and one that breaks it. It is asked where the Transformer is first called.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

template <class Design, int Remainder = Design::head_dim % 16> struct HeadDimMultiple {
  static_assert(Remainder == 0, "[head-dim-multiple] this machine's attention wants heads of a multiple of 16 channels");
};
template <class Design> using MultipleOf16 = HeadDimMultiple<Design>;

#ifdef SFUMATO_REJECT
using Trunk = Transformer<132, 2, RMSNorm, SwiGLU, Heads<6>, Require<MultipleOf16>>;
#else
using Trunk = Transformer<192, 2, RMSNorm, SwiGLU, Heads<6>, Require<MultipleOf16>>;
#endif
static_assert(cost_of<Trunk, Shape<dynamic, 16, Trunk::width>>(1).macs > 0);
