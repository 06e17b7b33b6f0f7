// What a call to the device came to.
#pragma once

#include <sfumato/base/error.hpp>

#include <cstddef>

SFUMATO_BEGIN
namespace backend::cuda {

/// Null for success, else the device's words for what went wrong; they live as long as the program.
using Status = const char*;

/// Copies run beside the kernels' stream on a lane of their own, unless they must keep its order.
enum class Lane { kernels, copies };

/// Throws Error(id) with `what` and the device's words unless `status` is a success.
template <class... What> void check_status(Status status, const char* id, const What&... what) {
  if (status != nullptr) throw Error(id, text(what..., ": ", status));
}

/// Throws Error("out-of-memory") with what was asked for and what there is, unless `status` is a success.
template <class Api, class... More> void check_memory(Api& api, Status status, const char* what, std::size_t bytes, const More&... more) {
  if (status == nullptr) return;
  std::size_t available = 0, total = 0;
  api.memory(available, total);
  throw Error("out-of-memory", text("device memory: ", bytes, " bytes asked for ", what, ", ", available, " of ", total, " free", more..., "; ", status));
}

}  // namespace backend::cuda
SFUMATO_END
