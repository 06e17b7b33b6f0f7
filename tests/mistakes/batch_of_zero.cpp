// throws: batch.* 0
// A batch of no samples: to an input, a sampler, a trainer, a tensor.
#include <sfumato/sfumato.hpp>

#include <iostream>

using namespace sfumato;

#if !defined(SFUMATO_MISTAKE)
#define SFUMATO_MISTAKE 0
#endif

using Model = JiT<ImagePatches<8, 1, 4, 10>, Transformer<32, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>>;

int main() {
  backend::Cpu cpu;
  Workspace workspace(cpu);
  Weights<Model, backend::Cpu> weights(cpu, 1);
  Run<backend::Cpu> run(workspace, weights.values());
  int status = 0;
  for (int place = 1; place <= 4; ++place) {
    const Index n = SFUMATO_MISTAKE ? 0 : 2;
    try {
      const std::vector<int> labels(std::size_t(n), 1);
      const std::vector<float> pixels(std::size_t(n * 64), 0.5f);
      if (place == 1) ops::input<Model::ImageShape>(run, std::span<const float>(pixels));
      if (place == 2) sample<Model::ImageShape>(run, weights.model(), FlowObjective<Space::x>{}, labels, 1, 0, {.steps = 1});
      if (place == 3) Trainer<Model, Model::ImageShape, FlowObjective<Space::x>, backend::Cpu> trainer(cpu, {}, {.batch = n});
      if (place == 4) Tensor<float, Model::ImageShape, backend::Cpu> images(cpu, n);
    } catch (const Error& error) {
      std::cerr << error.what() << '\n';
      ++status;
    }
  }
  return SFUMATO_MISTAKE ? status == 4 : status;  // refused in every place
}
