// The reference backend: plain loops, sums in double. It is the readable specification of every kernel and the oracle
// of the tests; nothing in it is meant to be quick.
#pragma once

#include <sfumato/backend/reference/attention.hpp>
#include <sfumato/backend/reference/matmul.hpp>
#include <sfumato/backend/reference/memory.hpp>
#include <sfumato/backend/reference/pointwise.hpp>
#include <sfumato/backend/reference/rows.hpp>

SFUMATO_BEGIN

namespace backend {
struct Reference {
  static constexpr const char* name = "reference";
  static constexpr bool host_memory = true;
};
}  // namespace backend

template <> struct Kernels<backend::Reference> : backend::reference::Memory,
                                                 backend::reference::Matmul,
                                                 backend::reference::Pointwise,
                                                 backend::reference::Rows,
                                                 backend::reference::Attention {};

static_assert(Backend<backend::Reference>);

SFUMATO_END
