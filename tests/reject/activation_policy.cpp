// reject: activation-policy.*RMSNorm|RMSNorm.*activation-policy
// A norm where the activation belongs.
#include <sfumato/nn/transformer.hpp>

using namespace sfumato;

template <class Act> using Activates = rule::IsActivation<Act, ActPolicy<Act>>;
#if defined(SFUMATO_REJECT)
Activates<RMSNorm> act;
#else
Activates<GELU> act;
#endif
