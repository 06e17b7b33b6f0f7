// The contract of `Kernels` on a GPU, put together.
#pragma once

#include <sfumato/backend/cuda/attention_mma.hpp>
#include <sfumato/backend/cuda/elementwise.hpp>
#include <sfumato/backend/cuda/heads.hpp>
#include <sfumato/backend/cuda/losses.hpp>
#include <sfumato/backend/cuda/matmul.hpp>
#include <sfumato/backend/cuda/memory.hpp>
#include <sfumato/backend/cuda/movement.hpp>
#include <sfumato/backend/cuda/norm.hpp>
#include <sfumato/backend/cuda/sums.hpp>

SFUMATO_BEGIN

template <class Api> struct Kernels<backend::BasicCuda<Api>> : backend::cuda::MemoryKernels,
                                                               backend::cuda::MatmulKernels,
                                                               backend::cuda::MovementKernels,
                                                               backend::cuda::ElementwiseKernels,
                                                               backend::cuda::SumKernels,
                                                               backend::cuda::NormKernels,
                                                               backend::cuda::HeadKernels,
                                                               backend::cuda::LossKernels,
                                                               backend::cuda::AttentionKernels {};

SFUMATO_END
