// reject: time-range
#include <sfumato/flow/time_law.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
using Law = TruncatedLogitNormal<std::ratio<0>, std::ratio<1>, std::ratio<9, 10>, std::ratio<1, 10>>;
#else
using Law = TruncatedLogitNormal<std::ratio<0>, std::ratio<1>, std::ratio<1, 3000>, std::ratio<1, 2000>>;
#endif
double f(const Random& random) { return Law::sample(random, 0); }
