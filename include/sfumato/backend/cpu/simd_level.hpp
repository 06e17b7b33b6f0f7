// Which vector instructions the kernels use: the best the machine has, found at run time, unless limited.
#pragma once

#include <sfumato/base/config.hpp>
#include <sfumato/base/error.hpp>

#include <cstdlib>
#include <string_view>

#if defined(__x86_64__) && defined(__GNUC__)
#define SFUMATO_CPU_X86 1
#else
#define SFUMATO_CPU_X86 0
#endif

SFUMATO_BEGIN
namespace backend {

/// Ordered: a level includes those before it. `baseline` is the compiler's generic 4-float vector, on any architecture.
enum class SimdLevel { baseline, avx2, avx512 };

constexpr const char* simd_name(SimdLevel level) {
  return level == SimdLevel::avx512 ? "avx512" : level == SimdLevel::avx2 ? "avx2" : "baseline";
}

/// The best level this machine can run.
inline SimdLevel machine_simd_level() {
#if SFUMATO_CPU_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return SimdLevel::avx512;
  if (avx2) return SimdLevel::avx2;
#endif
  return SimdLevel::baseline;
}

/// The machine's level, lowered by the environment variable SFUMATO_SIMD = baseline | avx2 | avx512.
inline SimdLevel default_simd_level() {
  const SimdLevel machine = machine_simd_level();
  const char* const wish = std::getenv("SFUMATO_SIMD");
  if (wish == nullptr || *wish == '\0') return machine;
  for (const SimdLevel level : {SimdLevel::baseline, SimdLevel::avx2, SimdLevel::avx512})
    if (std::string_view(wish) == simd_name(level)) return level < machine ? level : machine;
  throw Error("simd", text("SFUMATO_SIMD is '", wish, "', expected baseline, avx2 or avx512"));
}

}  // namespace backend
SFUMATO_END
