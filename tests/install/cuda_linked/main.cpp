// A C++ file, compiled by a C++ compiler, that trains on the GPU: it is linked with a CUDA file.
#include <sfumato/backend/cuda/cuda.hpp>
#include <sfumato/sfumato.hpp>

#include <cstdio>

using namespace sfumato;
using backend::Cuda;

using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 1, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero>>;

int main() {
  const std::vector<float> pixels(4 * 64, 0.5f);
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no GPU: compiled and linked, not run");
    return 0;
  }
  try {
    Cuda gpu;
    Trainer<Model, Model::ImageShape, FlowObjective<Space::x>, Cuda> trainer(gpu, {}, {.batch = 4, .learning_rate = 1e-2});
    const double first = trainer.step(Samples<Model::ImageShape>(pixels)).loss;
    for (int i = 0; i < 20; ++i) trainer.step(Samples<Model::ImageShape>(pixels));
    const double last = trainer.step(Samples<Model::ImageShape>(pixels)).loss;
    std::printf("loss %g, then %g\n", first, last);
    return last < first ? 0 : 1;
  } catch (const Error& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
