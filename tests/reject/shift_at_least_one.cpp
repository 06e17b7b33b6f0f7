// reject: shift-defined
#include <sfumato/flow/schedule.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
static_assert(ShiftBy<std::ratio<1, 2>>::alpha > 0);
#else
static_assert(ShiftBy<std::ratio<1>>::noise(0.25) == 0.25);
#endif
