// reject: dropout-rate.*must be in .0, 1
#include <sfumato/nn/options.hpp>

using namespace sfumato;

#ifdef SFUMATO_REJECT
using Rate = std::ratio<3, 2>;
#else
using Rate = std::ratio<1, 2>;
#endif
static_assert(Dropout<Rate, 0, 2>::rate > 0);
