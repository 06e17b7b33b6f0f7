// reject: time-range
#include <sfumato/flow/time_law.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
using Law = UniformBetween<std::ratio<0>, std::ratio<10005, 10000>>;
#else
using Law = UniformBetween<std::ratio<0>, std::ratio<1>>;
#endif
double f(const Random& random) { return Law::sample(random, 0); }
