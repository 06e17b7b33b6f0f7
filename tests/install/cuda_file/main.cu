// A CUDA file: a model on the GPU, and a kernel of its own.
#include <sfumato/backend/cuda/cuda.hpp>
#include <sfumato/sfumato.hpp>

#include <cstdio>

using namespace sfumato;
using backend::Cuda;

using Sequence = Shape<dynamic, 4, 16>;
using Trunk = Transformer<16, 1, RMSNorm, SwiGLU, Heads<2>>;

struct Negate {
  float* x;
  __host__ __device__ void operator()(Index i) const { x[i] = -x[i]; }
};

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no GPU: compiled and linked, not run");
    return 0;
  }
  try {
    Cuda gpu;
    Workspace workspace(gpu);
    Weights<Trunk, Cuda> weights(gpu, 1);
    Run<Cuda> run(workspace, weights.values());
    const auto x = ops::normal<Sequence>(run, 8, Random{.seed = 1});
    const auto y = weights.model()(run, x);
    Kernels<Cuda>::for_each(gpu, y.size(), y.size(), Negate{run.mutable_data(y)});
    std::vector<float> out(std::size_t(y.size()));
    ops::output(run, y, std::span(out));
    std::printf("first output: %g\n", double(out[0]));
  } catch (const Error& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
