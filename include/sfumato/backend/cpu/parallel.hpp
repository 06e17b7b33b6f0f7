// The one parallel loop of the CPU backend: OpenMP where the compiler has it, serial otherwise.
#pragma once

#include <sfumato/base/config.hpp>

#include <algorithm>

#if defined(_OPENMP)
#include <omp.h>
#endif

SFUMATO_BEGIN
namespace backend::cpu {

inline int default_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

inline bool in_parallel_region() {
#if defined(_OPENMP)
  return omp_in_parallel() != 0;
#else
  return false;
#endif
}

/// Calls body(begin, end, thread) for up to `threads` contiguous parts of [0, count), none smaller than `grain` without
/// need. Static: part t goes to thread t. Inside a parallel region everything runs in the calling thread.
/// `body` must not throw: an exception cannot leave an OpenMP region.
template <class Body> void parallel_for(int threads, Index count, Index grain, const Body& body) {
  if (count <= 0) return;
  const Index parts = std::min<Index>(threads, (count + grain - 1) / std::max<Index>(grain, 1));
  if (parts <= 1 || in_parallel_region()) {
    body(Index{0}, count, 0);
    return;
  }
#if defined(_OPENMP)
#pragma omp parallel num_threads(static_cast <int>(parts))
  {
    const Index t = omp_get_thread_num(), n = omp_get_num_threads();
    body(count * t / n, count * (t + 1) / n, static_cast<int>(t));
  }
#else
  body(Index{0}, count, 0);
#endif
}

}  // namespace backend::cpu
SFUMATO_END
