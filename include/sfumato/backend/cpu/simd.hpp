// The vector kernels of the CPU backend, compiled once per instruction set whatever -march the translation unit has,
// and chosen at run time.
//
// Every function of a target carries the target attribute itself, always_inline ones included: one without it
// would have its vectors lowered, and a pragma around the file would not reach template instantiations. For the same
// reason there are no lambdas in there.
//
// Their share of what a file takes to compile is large, with sanitizers nearly all. With SFUMATO_CPU_KERNELS_APART files only declare them, and are
// linked with one that defines SFUMATO_CPU_KERNELS_HERE too and includes this.
#pragma once

#include <sfumato/backend/cpu/simd_level.hpp>
#include <sfumato/backend/cpu/simd_table.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#if defined(SFUMATO_CPU_KERNELS_APART) && !defined(SFUMATO_CPU_KERNELS_HERE)

SFUMATO_BEGIN
namespace backend::cpu {
/// The kernels of a level this machine has.
const SimdTable& simd_table(SimdLevel level);
}  // namespace backend::cpu
SFUMATO_END

#else

#if SFUMATO_CPU_X86
#include <immintrin.h>
#endif

#if defined(__clang__)
#define SFUMATO_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SFUMATO_UNROLL _Pragma("GCC unroll 16")
#endif
// nvcc does not know the pragma but hands it on.
#if defined(__CUDACC__)
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1675
#endif
#define SFUMATO_SIMD inline __attribute__((always_inline)) SFUMATO_TARGET

SFUMATO_BEGIN
namespace backend::cpu {

// Explicit, so that a -march of the including file changes neither its bits nor where it can run.
#if defined(__x86_64__)
#define SFUMATO_TARGET __attribute__((target("no-avx,no-fma")))
#else
#define SFUMATO_TARGET
#endif
namespace baseline {
#include <sfumato/backend/cpu/simd_baseline.inc>
//
#include <sfumato/backend/cpu/simd_target.inc>
}  // namespace baseline
#undef SFUMATO_TARGET

#if SFUMATO_CPU_X86
#define SFUMATO_TARGET __attribute__((target("avx2,fma")))
namespace avx2 {
#include <sfumato/backend/cpu/simd_avx2.inc>
//
#include <sfumato/backend/cpu/simd_target.inc>
}  // namespace avx2
#undef SFUMATO_TARGET

#define SFUMATO_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
namespace avx512 {
#include <sfumato/backend/cpu/simd_avx512.inc>
//
#include <sfumato/backend/cpu/simd_target.inc>
}  // namespace avx512
#undef SFUMATO_TARGET
#endif

/// The kernels of a level this machine has.
#if !defined(SFUMATO_CPU_KERNELS_APART)
inline
#endif
const SimdTable& simd_table(SimdLevel level) {
#if SFUMATO_CPU_X86
  if (level == SimdLevel::avx512) return avx512::table;
  if (level == SimdLevel::avx2) return avx2::table;
#endif
  static_cast<void>(level);
  return baseline::table;
}

}  // namespace backend::cpu
SFUMATO_END

#undef SFUMATO_SIMD
#undef SFUMATO_UNROLL
#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif

#endif
