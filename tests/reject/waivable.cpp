// reject: waivable.*only the tags of rules
#include <sfumato/models/jit.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
using Waived = rule::IsNorm<int, true>;
#else
using Waived = rule::output_path;
#endif
constexpr Waive<Waived> waiver{};
