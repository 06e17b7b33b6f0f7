// The CUDA backend: `backend::Cuda`, for NVIDIA GPUs.
//
// A CUDA file needs nothing else. A C++ file that uses the backend is linked with one CUDA file that includes
// <sfumato/backend/cuda/instantiate.cuh>, and with the CUDA runtime and cuBLASLt.
#pragma once

#include <sfumato/backend/cuda/api.hpp>
#include <sfumato/backend/cuda/kernels.hpp>
#if defined(__CUDACC__)
#include <sfumato/backend/cuda/launch.cuh>
#endif

SFUMATO_BEGIN

namespace backend {
using Cuda = BasicCuda<cuda::Api>;
}  // namespace backend

static_assert(Backend<backend::Cuda>);

SFUMATO_END
