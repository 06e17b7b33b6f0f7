// What only nvcc compiles: the launch of kernels, and Thrust on the device.
#pragma once

#include <sfumato/backend/cuda/api.hpp>
#include <sfumato/backend/cuda/thread.hpp>
#include <sfumato/backend/cuda/thrust.hpp>

#include <thrust/system/cuda/execution_policy.h>

#include <exception>
#include <string>

SFUMATO_BEGIN
namespace backend::cuda {

/// For the current device.
template <class Kernel> Status allow_shared_memory(const Grid& grid) {
  constexpr Index without_asking = 48 * 1024;
  if (grid.shared_bytes <= without_asking) return nullptr;
  return status_of(cudaFuncSetAttribute(run_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.shared_bytes)));
}

template <class Kernel> Status prepare_kernel(const Grid& grid) {
  cudaFuncAttributes attributes;
  if (const Status status = status_of(cudaFuncGetAttributes(&attributes, run_kernel<Kernel>))) return status;  // loads it
  return allow_shared_memory<Kernel>(grid);
}

template <class Kernel> Status launch_kernel(const Grid& grid, const Kernel& kernel, cudaStream_t stream) {
  if (const Status status = allow_shared_memory<Kernel>(grid)) return status;
  run_kernel<Kernel><<<dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z)), Kernel::threads,
                       static_cast<std::size_t>(grid.shared_bytes), stream>>>(kernel);
  return status_of(cudaGetLastError());
}

/// Temporary memory for Thrust's algorithms that the device is not asked for.
class ThrustAllocator {
 public:
  using value_type = char;
  explicit ThrustAllocator(Api& api) : api_(&api) {}
  char* allocate(std::ptrdiff_t bytes) { return api_->allocate_temporary(static_cast<std::size_t>(bytes)); }
  void deallocate(char* memory, std::size_t) { api_->deallocate_temporary(memory); }

 private:
  Api* api_;
};

template <class Step> Status run_thrust(const Step& step, Api& api, cudaStream_t stream) {
  try {
    ThrustAllocator allocator(api);
    step(::thrust::cuda::par_nosync(allocator).on(stream));
    return status_of(cudaGetLastError());
  } catch (const Error&) {
    throw;  // says what it is
  } catch (const std::exception& error) {
    static thread_local std::string words;
    return (words = error.what()).c_str();
  }
}

template <class Probed> Status find_code(std::string& built_for) {
  for (const int architecture : {__CUDA_ARCH_LIST__}) built_for += text(built_for.empty() ? "" : ", ", architecture / 100, ".", architecture / 10 % 10);
  cudaFuncAttributes attributes;
  return status_of(cudaFuncGetAttributes(&attributes, run_kernel<Probed>));
}

}  // namespace backend::cuda
SFUMATO_END
