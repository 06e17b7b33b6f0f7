// throws: label-range.*label 100.*0\.\.9
// A model of 10 classes trained on data of more.
#include <sfumato/sfumato.hpp>

#include <iostream>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
constexpr int classes_of_data = 101;
#else
constexpr int classes_of_data = 10;
#endif

using Model = JiT<ImagePatches<8, 1, 4, 10>, Transformer<32, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>>;

struct Data {
  Index size() const { return 4; }
  int load(Index i, bool, float* out) const {
    std::fill(out, out + 64, 0.5f);
    return i == 0 ? classes_of_data - 1 : 0;
  }
};

int main() try {
  backend::Cpu cpu;
  Trainer<Model, Model::ImageShape, FlowObjective<Space::x>, backend::Cpu> trainer(cpu, {}, {.batch = 4});
  trainer.step(Data{});
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
