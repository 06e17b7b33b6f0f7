// One training step of JiT-B/16 on the CPU.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

struct Blank {
  Index size() const { return 1; }
  int load(Index, bool, float* out) const {
    for (Index j = 0; j < JiT_B_16::ImageShape::row; ++j) out[j] = 0;
    return 0;
  }
};

int main() {
  backend::Cpu cpu;
  Trainer<JiT_B_16, JiT_B_16::ImageShape, FlowObjective<Space::x, Space::v>, backend::Cpu> trainer(cpu, {}, {.batch = 1});
  trainer.step(Blank{});
}
