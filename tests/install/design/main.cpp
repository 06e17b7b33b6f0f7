// Nothing but designs: which fit a machine, which fit an objective, and what they cost. To compile is to pass.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

// A family of models for 64 x 64 colour images of 10 classes.
template <int Width, int Depth, class... Options>
using Design = JiT<ImagePatches<64, 3, 8, 10>, Transformer<Width, Depth, RMSNorm, SwiGLU, QKNorm, Rotary, AdaLNZero>, Head<Linear>, Options...>;
using Small = Design<192, 6>;
using Medium = Design<256, 8>;
using Large = Design<384, 12>;

// What they cost: one forward pass, and training at a batch.
static_assert(parameter_count<Small>() < 5'000'000 && cost_of<Small>(1).macs < 250'000'000);
static_assert(training_bytes<Large>(/*batch*/ 16) < Index{3} << 30);
static_assert(training_bytes<Design<384, 12>>(16) < training_bytes<Design<384, 12>>(32));

// Which of them may predict what: 192 values a token.
static_assert(FlowObjective<Space::v>::fits<Small> && FlowObjective<Space::x>::fits<Small>);
static_assert(!FlowObjective<Space::v>::fits<Design<256, 8, Bottleneck<64>>>);
static_assert(FlowObjective<Space::x>::fits<Design<256, 8, Bottleneck<64>>>);

// The largest that a laptop can train.
constexpr Budget laptop{.training_bytes = Index{1} << 30, .batch = 16};
static_assert(models_within<laptop, Small, Medium, Large> == 2);
static_assert(std::is_same_v<largest_under<laptop, Small, Medium, Large>, Medium>);

// What an idea costs, before anybody trains it.
template <class Norm> constexpr Index saved = cost_of<Transformer<256, 8, Norm, SwiGLU>, Shape<dynamic, 64, 256>>(1).saved;
static_assert(saved<DyT> > saved<RMSNorm>);

int main() {}
