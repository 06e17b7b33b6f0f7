// One forward pass of JiT-B/16 on the CPU.
#include <sfumato/sfumato.hpp>

#include <span>
#include <vector>

using namespace sfumato;

int main() {
  backend::Cpu cpu;
  Workspace workspace(cpu);
  Weights<JiT_B_16, backend::Cpu> weights(cpu, 1);
  Run<backend::Cpu> run(workspace, weights.data());
  const auto z = ops::normal<JiT_B_16::ImageShape>(run, 1, {1, Stream::user});
  const std::vector<double> times{0.5};
  const std::vector<int> labels{7};
  weights.model()(run, z, std::span<const double>(times), std::span<const int>(labels));
}
