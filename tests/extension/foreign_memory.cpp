// A backend whose memory is not the host's, as far as types can tell: the generated tests and a training step run on it.
#include <sfumato/backend/reference/reference.hpp>

namespace mine {
struct Device : sfumato::backend::Reference {
  static constexpr const char* name = "device";
  static constexpr bool host_memory = false;
};
}  // namespace mine
namespace sfumato {
template <> struct Kernels<mine::Device> : Kernels<backend::Reference> {};
}  // namespace sfumato

#define SFUMATO_TESTED_BACKEND mine::Device
#include "ops/generated.hpp"

#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/samples.hpp>
#include <sfumato/train/trainer.hpp>

namespace {
using ForeignMemoryCases = std::tuple<Softmax, LinearMap<true, Activation::none>, SelfAttend<true, 4, true>, WeightedMse>;
using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 1, RMSNorm, SwiGLU, Heads<2>, AdaLNZero>>;
}  // namespace

SFUMATO_TEST_OPS(ForeignMemoryCases)

TEST_CASE("a model trains and samples where no host pointer may go") {
  mine::Device device;
  const std::vector<float> pixels(4 * 64, 0.5f);
  Trainer<Model, Model::ImageShape, FlowObjective<Space::x>, mine::Device> trainer(device, {}, {.batch = 4, .learning_rate = 1e-2});
  const double first = trainer.step(Samples<Model::ImageShape>(pixels)).loss;
  for (int i = 0; i < 20; ++i) trainer.step(Samples<Model::ImageShape>(pixels));
  CHECK(trainer.step(Samples<Model::ImageShape>(pixels)).loss < first);
  auto run = trainer.run(trainer.weights());
  const std::vector<int> labels{0, 2};
  CHECK(host(run, sample<Model::ImageShape>(run, trainer.model(), trainer.objective, labels, 1, 0, {.steps = 2})).size() == 128);
}
