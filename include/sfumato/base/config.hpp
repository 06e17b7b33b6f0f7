// Version, inline namespace and the few macros of the library.
#pragma once

#include <cstdint>

#define SFUMATO_VERSION_MAJOR 0
#define SFUMATO_VERSION_MINOR 1
#define SFUMATO_VERSION_PATCH 0

/// Opens the versioned namespace, so that two versions in one program do not collide.
#define SFUMATO_BEGIN     \
  namespace sfumato {     \
  inline namespace v0_1 {
#define SFUMATO_END \
  }                 \
  }

/// Marks functions shared by host and device code.
#if defined(__CUDACC__)
#define SFUMATO_HD __host__ __device__
#else
#define SFUMATO_HD
#endif

SFUMATO_BEGIN

/// Signed sizes and offsets: 64 bits, so that a batch of large images cannot overflow.
using Index = std::int64_t;

SFUMATO_END
