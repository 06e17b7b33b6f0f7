// reject: mixed-elements.*name::input.*double|double.*name::input.*mixed-elements
// A tensor of doubles given to a context in floats.
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/ops/embedding.hpp>

using namespace sfumato;

auto f(Run<backend::Cpu>& run, Tensor<float, Shape<dynamic, 4>, backend::Cpu>& single, Tensor<double, Shape<dynamic, 4>, backend::Cpu>& wide) {
#if defined(SFUMATO_REJECT)
  (void)single;
  return ops::input(run, wide.view());
#else
  (void)wide;
  return ops::input(run, single.view());
#endif
}
