// Designs that hold, designs that fail, and what each costs. There is nothing to run: to compile is to pass.
//
// Each failing design stands under its number in SFUMATO_BROKEN_DESIGN, with the words of the compiler's error. Try one:
//   g++ -std=c++20 -fsyntax-only -Iinclude -DSFUMATO_BROKEN_DESIGN=1 examples/design/designs.cpp
// The tests design.broken.<n> do the same and compare the words.
#include <sfumato/design/budget.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>

#ifndef SFUMATO_BROKEN_DESIGN
#define SFUMATO_BROKEN_DESIGN 0
#endif

using namespace sfumato;

namespace {

// ---- Designs that hold -----------------------------------------------------------------------------------------------

// 28 x 28 grey images in patches of 14: four tokens of 196 values, ten classes.
using LargePatches = ImagePatches<28, 1, 14, 10>;
static_assert(LargePatches::tokens == 4 && LargePatches::token_dim == 196);

// A trunk is a type; its options come in any order.
using Trunk128 = Transformer<128, 4, RMSNorm, SwiGLU, Heads<4>, QKNorm, Rotary, AdaLNZero>;
using Same128 = Transformer<128, 4, RMSNorm, SwiGLU, AdaLNZero, Rotary, QKNorm, Heads<4>>;
static_assert(Trunk128::hidden == Same128::hidden && Trunk128::hidden == 128 * 8 / 3);
static_assert(Transformer<128, 4, LayerNorm, GELU>::hidden == 4 * 128);  // gated MLPs are narrower, at equal parameters
static_assert(Transformer<768, 12, RMSNorm, SwiGLU>::heads == 12);       // one per 64 channels, unless said

// 128 channels for tokens of 196 values: clean images lie on a manifold and pass, so x-prediction is sound (JiT, section 3).
using Narrow = JiT<LargePatches, Trunk128>;
static_assert(Narrow::path_width == 128 && Narrow::token_dim == 196);
static_assert(FlowObjective<Space::x, Space::v>::fits<Narrow>);

// A bottleneck in the patch embedding narrows the path further, which x-prediction does not mind (JiT, section 4.3).
using Bottled = JiT<LargePatches, Trunk128, Head<Linear>, Bottleneck<32>>;
static_assert(Bottled::path_width == 32 && FlowObjective<Space::x>::fits<Bottled>);

// 256 channels hold the noise of a token as well: all three predictions are sound.
using Wide = JiT<LargePatches, Transformer<256, 4, RMSNorm, SwiGLU, Heads<8>, QKNorm, Rotary, AdaLNZero>>;
static_assert(FlowObjective<Space::x>::fits<Wide> && FlowObjective<Space::eps>::fits<Wide> &&
              FlowObjective<Space::v>::fits<Wide>);

// ---- Designs that fail: the same question, asked without an error -----------------------------------------------------

// Velocity and noise contain all of a token's noise: 196 dimensions do not pass through 128 (RAE, theorem 1).
static_assert(!FlowObjective<Space::v>::fits<Narrow> && !FlowObjective<Space::eps>::fits<Narrow>);
// The narrowest place counts, wherever it is: here the bottleneck of a trunk that is wide enough.
using WideButBottled = JiT<LargePatches, Transformer<256, 4, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Bottleneck<64>>;
static_assert(WideButBottled::path_width == 64 && !FlowObjective<Space::v>::fits<WideButBottled>);
// What is no norm or no activation is known as such.
static_assert(NormPolicy<RMSNorm> && !NormPolicy<SwiGLU> && ActPolicy<SwiGLU> && !ActPolicy<LayerNorm>);
// A time law draws times; a norm does not.
static_assert(TimeLaw<LogitNormal<>> && TimeLaw<UniformTime> && !TimeLaw<RMSNorm>);

// ---- Designs that fail: as the compiler says it ------------------------------------------------------------------------

#if SFUMATO_BROKEN_DESIGN == 1
// v-prediction through a path that is too narrow.
//   error: static assertion failed: [output-path] v- and eps-prediction need an output path at least as wide as the token
//   note: the comparison reduces to '(128 >= 196)'
constexpr bool broken = (FlowObjective<Space::v>::require_sound<Narrow>(), true);
#elif SFUMATO_BROKEN_DESIGN == 2
// 250 channels in 4 heads.
//   error: static assertion failed: [heads-divide-width] the width is not divisible by the number of heads
constexpr Index broken = parameter_count<Transformer<250, 4, RMSNorm, SwiGLU, Heads<4>>>();
#elif SFUMATO_BROKEN_DESIGN == 3
// 28 pixels in patches of 5.
//   error: static assertion failed: [patch-divides-image] the image size is not divisible by the patch size
constexpr int broken = ImagePatches<28, 1, 5, 10>::tokens;
#elif SFUMATO_BROKEN_DESIGN == 4
// A bottleneck of 256 for patches of 196 values compresses nothing.
//   error: static assertion failed: [bottleneck-width] the bottleneck is wider than the patch it compresses
//   note: the comparison reduces to '(256 <= 196)'
constexpr Index broken =
    cost_of<JiT<LargePatches, Transformer<256, 4, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Bottleneck<256>>>(1).macs;
#elif SFUMATO_BROKEN_DESIGN == 5
// An option of the model, given to the trunk.
//   error: static assertion failed: [unknown-option] this type is not an option here: see the list beside the template's declaration
constexpr int broken = Transformer<128, 4, RMSNorm, SwiGLU, Bottleneck<32>>::hidden;
#elif SFUMATO_BROKEN_DESIGN == 6
// Context tokens that would enter in front of block 6 of 4.
//   error: static assertion failed: [context-start] context tokens must enter at a block inside the depth
constexpr Index broken =
    cost_of<JiT<LargePatches, Transformer<128, 4, RMSNorm, SwiGLU, AdaLNZero, Context<4, 6>>>>(1).macs;
#elif SFUMATO_BROKEN_DESIGN == 7
// Heads of 6 channels cannot be turned in pairs along two axes.
//   error: static assertion failed: [rotary-head-dim] 2-D rotary embedding needs a head width divisible by 4 (two axes, pairs)
constexpr Index broken =
    cost_of<JiT<LargePatches, Transformer<96, 4, RMSNorm, SwiGLU, Heads<16>, Rotary, AdaLNZero>>>(1).macs;
#elif SFUMATO_BROKEN_DESIGN == 8
// A budget that no candidate meets.
//   error: static assertion failed: [budget-fits] none of the models fits the budget
using Broken = largest_under<Budget{.parameters = 1000}, Narrow, Wide>;
constexpr int broken = Broken::width;
#endif

// ---- Waivers -----------------------------------------------------------------------------------------------------------

// An experiment that means to break a rule says which. The model then compiles under every objective, and the waiver is in
// its type, for readers and for error messages. See examples/jit_spaces for what becomes of it.
using Waived = JiT<LargePatches, Trunk128, Head<Linear>, Waive<rule::output_path>>;
static_assert(Waived::waives<rule::output_path> && !Waived::waives<rule::bottleneck_width>);
constexpr bool compiles =
    (FlowObjective<Space::v>::require_sound<Waived>(), FlowObjective<Space::eps>::require_sound<Waived>(), true);
static_assert(compiles && !FlowObjective<Space::v>::fits<Waived>);  // allowed, and still not sound
// A waiver changes no figure.
static_assert(parameter_count<Waived>() == parameter_count<Narrow>());

// ---- Costs ---------------------------------------------------------------------------------------------------------------

// The published sizes: 131 and 459 million parameters, 25 thousand million multiply-adds an image.
static_assert(parameter_count<JiT_B_16>() == 131'123'712 && parameter_count<JiT_L_16>() == 458'877'664);
static_assert(cost_of<JiT_B_16>(1).macs / 1'000'000'000 == 25);
// Multiply-adds grow with the batch, parameters do not.
static_assert(cost_of<Narrow>(64).macs == 64 * cost_of<Narrow>(1).macs &&
              cost_of<Narrow>(64).parameters == cost_of<Narrow>(1).parameters);
// Patches of 32 at 512 pixels cost what patches of 16 do at 256: the number of tokens is the same (table 5).
static_assert(cost_of<JiT_B_32>(1).macs < cost_of<JiT_B_16>(1).macs * 105 / 100);
// Recomputation trades multiply-adds for memory: the blocks keep their inputs only.
using Frugal = JiT<LargePatches, Transformer<128, 4, RMSNorm, SwiGLU, Heads<4>, QKNorm, Rotary, AdaLNZero, Recompute>>;
static_assert(cost_of<Frugal>(1).macs == cost_of<Narrow>(1).macs &&
              4 * cost_of<Frugal>(1).saved < cost_of<Narrow>(1).saved);
// A bound that a reviewer can read: this model trains in 128 MiB at a batch of 128.
static_assert(training_bytes<Narrow>(128) < 128 << 20);
static_assert(training_memory<Narrow>(128).weights == training_memory<Narrow>(256).weights);
static_assert(training_memory<Narrow>(256).activations == 2 * training_memory<Narrow>(128).activations);
static_assert(training_bytes<Narrow, double>(128) == 2 * training_bytes<Narrow>(128));

}  // namespace

#if SFUMATO_BROKEN_DESIGN
int use_broken_design() { return int(broken); }
#endif
