// mistake: mixed-backends.*Reference.*Cpu|Reference.*Cpu.*mixed-backends
// Images of one backend given to a model that runs on another.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

using Model = Classifier<ImagePatches<8, 1, 4, 10>, Transformer<32, 1, RMSNorm, SwiGLU, Heads<2>>>;

int main() {
  backend::Reference device;
  backend::Cpu cpu;
  Workspace workspace(device);
  Workspace elsewhere(cpu);
  Weights<Model, backend::Reference> weights(device, 1);
  Run<backend::Reference> run(workspace, weights.values());
  Run<backend::Cpu> other(elsewhere, nullptr);
#ifdef SFUMATO_MISTAKE
  weights.model()(run, ops::normal<Model::ImageShape>(other, 2, Random{.seed = 1}));
#else
  weights.model()(run, ops::normal<Model::ImageShape>(run, 2, Random{.seed = 1}));
#endif
}
