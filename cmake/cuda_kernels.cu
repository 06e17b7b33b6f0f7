// The kernels that C++ files are linked with. A program with activations of its own names their loops in a CUDA file likewise.
#include <sfumato/backend/cuda/instantiate.cuh>
#include <sfumato/nn/layers.hpp>
#include <sfumato/ops/gather.hpp>
#include <sfumato/ops/group_norm.hpp>
#include <sfumato/ops/window.hpp>

namespace sfumato {
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<DyT::Tanh>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::Abs>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::LeakyReLU<>>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::Reciprocal>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::Hinge<1>>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::Hinge<-1>>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::EightBits>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::Clamp<-30, 20>>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::HalfExp>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::PointwiseLoops<ops::ExpExcess>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::GroupNormLoops<float>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::GroupNormLoops<double>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::GroupNormLoops<bf16>>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::FourierLoops>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::ChannelAffineLoops>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::GatherLoops>();
template void backend::cuda::instantiate_loops<backend::cuda::Api, ops::WindowLoops>();
}
