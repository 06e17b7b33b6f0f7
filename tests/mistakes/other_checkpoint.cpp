// throws: checkpoint-mismatch.*64.*32|checkpoint-mismatch.*32.*64
// Weights of a model of another width.
#include <sfumato/sfumato.hpp>
#include <sfumato/train/checkpoint.hpp>

#include <iostream>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
constexpr int width = 64;
#else
constexpr int width = 32;
#endif

template <int Width> using Model = JiT<ImagePatches<8, 1, 4, 10>, Transformer<Width, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>>;

int main() {
  const std::filesystem::path path = "weights.safetensors";
  int status = 0;
  try {
    backend::Cpu cpu;
    save_weights(path, Weights<Model<width>, backend::Cpu>(cpu, 1));
    Weights<Model<32>, backend::Cpu> weights(cpu);
    load_weights(path, weights);
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    status = 1;
  }
  std::filesystem::remove(path);
  return status;
}
