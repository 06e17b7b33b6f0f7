// stb_image and stb_image_write, with internal linkage and inside our namespace. A program that uses stb itself
// includes it in another translation unit: its implementations cannot stand twice in one.
#pragma once

#if defined(__GNUC__)
#pragma GCC system_header  // third-party code: its warnings are not ours
#endif

#include <sfumato/base/error.hpp>

// Everything stb includes, so that within the namespace those includes do nothing.
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

SFUMATO_BEGIN
namespace io {
namespace detail {
inline constexpr int max_image_side = 1 << 14;
}  // namespace detail
}  // namespace io
SFUMATO_END

// A failed assertion in a decoder is a corrupt file, in release builds too.
#define STBI_ASSERT(condition) \
  ((condition) ? void() : throw ::sfumato::Error("image-file", "stb_image: assertion failed: " #condition))
// Zeroed memory: stb_image 2.27 decodes with whatever its Huffman tables held when a file defines none.
#define STBI_MALLOC(size) calloc(1, size)
#define STBI_REALLOC(pointer, size) realloc(pointer, size)
#define STBI_FREE(pointer) free(pointer)
#define STBI_MAX_DIMENSIONS (::sfumato::io::detail::max_image_side)
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#undef STBI_INCLUDE_STB_IMAGE_H
#undef INCLUDE_STB_IMAGE_WRITE_H

SFUMATO_BEGIN
namespace io {
namespace detail {
namespace stb {
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#else
#include <stb_image.h>
#include <stb_image_write.h>
#endif
}  // namespace stb
}  // namespace detail
}  // namespace io
SFUMATO_END

#undef STBI_ASSERT
#undef STBI_MALLOC
#undef STBI_REALLOC
#undef STBI_FREE
#undef STBI_MAX_DIMENSIONS
#undef STBI_ONLY_JPEG
#undef STBI_ONLY_PNG
#undef STBI_NO_STDIO
#undef STB_IMAGE_STATIC
#undef STB_IMAGE_IMPLEMENTATION
#undef STBI_WRITE_NO_STDIO
#undef STB_IMAGE_WRITE_STATIC
#undef STB_IMAGE_WRITE_IMPLEMENTATION
#undef STBI_INCLUDE_STB_IMAGE_H
#undef INCLUDE_STB_IMAGE_WRITE_H
