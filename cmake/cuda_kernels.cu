// The kernels that C++ files are linked with. A program with activations of its own names their loops in a CUDA file likewise.
#include <sfumato/backend/cuda/instantiate.cuh>
#include <sfumato/nn/layers.hpp>

namespace sfumato {
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<DyT::Tanh>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::FourierLoops>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::ChannelAffineLoops>();
}
