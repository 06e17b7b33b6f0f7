// mistake: output-path.*32.*48|32.*48.*output-path
// Velocity of tokens of 48 through a width of 32.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
constexpr Space prediction = Space::v;
#else
constexpr Space prediction = Space::x;
#endif

using Model = JiT<ImagePatches<8, 3, 4, 10>, Transformer<32, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>>;

struct Data {
  Index size() const { return 4; }
  int load(Index, bool, float* out) const {
    std::fill(out, out + 192, 0.5f);
    return 0;
  }
};

int main() {
  backend::Cpu cpu;
  Trainer<Model, Model::ImageShape, FlowObjective<prediction>, backend::Cpu> trainer(cpu, {}, {.batch = 4});
  trainer.step(Data{});
}
