// reject: same-path
// Drawing along the straight path from a model that was trained on the circular one.
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/sit_objective.hpp>

using namespace sfumato;

using Model = SiT<ImagePatches<8, 4, 2, 10>, SiTTrunk<16, 2, 2>>;
using Teacher = VisionEncoder<EncoderInput<28, 7, 4, Interpolation::cubic, GreyColours>, Transformer<16, 1, LayerNorm, GELU, Heads<2>>, LayerNormNoAffine, false>;
using Objective = SiTObjective<Teacher, CosinePath>;

auto f(Run<backend::Reference>& run, const Model& model, std::span<const int> labels) {
#if defined(SFUMATO_REJECT)
  return sample<Model::ImageShape, EulerMaruyama<>, LastStepGrid<>>(run, model, Objective{}, labels, 1, 0, {});
#else
  return sample<Model::ImageShape, EulerMaruyama<CosinePath>, LastStepGrid<>>(run, model, Objective{}, labels, 1, 0, {});
#endif
}
