// mistake: host-pointer.*Device|Device.*host-pointer
// The host's pointer where memory of another backend is expected.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

/// Stands for a backend with memory of its own.
struct Device : backend::Reference {
  static constexpr const char* name = "device";
  static constexpr bool host_memory = false;
};
namespace sfumato {
template <> struct Kernels<Device> : Kernels<backend::Reference> {};
}

using Model = layer::Linear<64, 64>;

int main() {
  backend::Cpu cpu;
  Device device;
  Workspace workspace(device);
  Weights<Model, backend::Cpu> on_host(cpu, 1);
  Weights<Model, Device> weights(device, 1);
#ifdef SFUMATO_MISTAKE
  Run<Device> run(workspace, on_host.data());
#else
  Run<Device> run(workspace, weights.values());
#endif
  weights.model()(run, ops::normal<Shape<dynamic, 64>>(run, 2, Random{.seed = 1}));
}
