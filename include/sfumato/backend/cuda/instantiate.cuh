// All kernels of the contract in float, double and bf16: what C++ files that use backend::Cuda are linked with. To be included
// by one CUDA file.
#pragma once

#include <sfumato/backend/cuda/cuda.hpp>
#include <sfumato/backend/cuda/instantiate.hpp>

SFUMATO_BEGIN
namespace backend::cuda {

template void instantiate_kernels<Api, float>();
template void instantiate_kernels<Api, double>();
template void instantiate_kernels<Api, bf16>();

}  // namespace backend::cuda
SFUMATO_END
