// A program of somebody who uses the library: what it includes here must be installed, and a model of it must run.
#include <sfumato/sfumato.hpp>
#ifdef CONSUMER_USES_IO
#include <sfumato/io.hpp>
#endif

#include <cmath>
#include <cstdio>
#include <span>
#include <type_traits>
#include <vector>

using namespace sfumato;

using Trunk = Transformer<16, 2, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<2, 1>>;
using Model = JiT<ImagePatches<8, 1, 4, 3>, Trunk, Head<Linear>, Bottleneck<8>>;
static_assert(cost_of<Model>(1).parameters == parameter_count<Model>());

int main() {
  std::puts(text("sfumato ", SFUMATO_VERSION_MAJOR, ".", SFUMATO_VERSION_MINOR).c_str());
  backend::Cpu cpu;
  Workspace workspace(cpu);
  Weights<Model, backend::Cpu> weights(cpu, 1);
  std::vector<float> numbers(static_cast<std::size_t>(weights.size()));
  const Random random{.seed = 2, .stream = Stream::user};
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(0.1 * random.normal(i));  // no zero head
  weights.values().upload(numbers);

  Run<backend::Cpu> run(workspace, weights.data());
  const auto z = ops::normal<Model::ImageShape>(run, 2, {.seed = 1});
  const std::vector<double> times{0.2, 0.7};
  const std::vector<int> labels{0, 3};
  const auto x = weights.model()(run, z, std::span<const double>(times), std::span<const int>(labels));
  static_assert(std::is_same_v<decltype(x)::shape, Shape<dynamic, 1, 8, 8>>);

  std::vector<float> pixels(static_cast<std::size_t>(x.size()));
  ops::output(run, x, std::span(pixels));
  if (x.batch != 2 || pixels.size() != 2 * 8 * 8) return std::puts("the shape is wrong"), 1;
  float largest = 0;
  for (const float p : pixels) {
    if (!std::isfinite(p)) return std::puts("a pixel is not finite"), 1;
    largest = std::fmax(largest, std::fabs(p));
  }
  if (largest == 0) return std::puts("the image is empty"), 1;
}
