// reject: time-range
// A law of times that begins before noise.
#include <sfumato/flow/time_law.hpp>

using namespace sfumato;

#if defined(SFUMATO_REJECT)
using Law = UniformBetween<std::ratio<-1, 10>>;
#else
using Law = UniformBetween<std::ratio<1, 10>>;
#endif
double f(const Random& random) { return Law::sample(random, 0); }
