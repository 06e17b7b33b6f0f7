// Parameters and multiply-adds of the published JiT sizes (arXiv 2511.13720, tables 5 to 9), in constant expressions. The
// paper's "Gflops" are multiply-adds.
#include <sfumato/design/budget.hpp>
#include <sfumato/flow/precondition.hpp>
#include <sfumato/models/classifier.hpp>
#include <sfumato/models/jit.hpp>

namespace {

using namespace sfumato;

// The paper's architecture written out: what one forward pass multiplies. d: width, m: SwiGLU's hidden width.
template <class Model, int Image, int Patch, int Bottleneck> constexpr Index expected_macs() {
  using Trunk = decltype(Model::trunk);
  const Index d = Trunk::width, m = Trunk::hidden, n = Index{Image / Patch} * (Image / Patch), p = Index{3} * Patch * Patch, b = Bottleneck;
  Index macs = n * (p * b + b * d) + n * d * p + 2 * d * d + 256 * d + d * d;  // embedding, head, its modulation, time
  for (int i = 0; i < Trunk::depth; ++i) {
    const Index tokens = i < Trunk::context_start ? n : n + 32;
    macs += tokens * (4 * d * d + 3 * d * m) + 2 * tokens * tokens * d + 6 * d * d;
  }
  return macs;
}
template <class Model, int Image, int Patch, int Bottleneck> constexpr Index expected_parameters() {
  using Trunk = decltype(Model::trunk);
  const Index d = Trunk::width, m = Trunk::hidden, p = Index{3} * Patch * Patch, b = Bottleneck, head = d / Trunk::heads;
  const Index block = 2 * d + 2 * head + 3 * d * (d + 1) + d * (d + 1) + 2 * m * (d + 1) + d * (m + 1) + 6 * d * (d + 1);
  const Index time = d * 257 + d * (d + 1), labels = 1001 * d, embedding = b * p + d * (b + 1), final_layer = d + p * (d + 1) + 2 * d * (d + 1);
  return 32 * d + time + labels + embedding + Trunk::depth * block + final_layer;
}

// `value` in units of 10^-digits giga rounds to `figure`.
constexpr bool rounds_to(Index value, Index unit, Index figure) { return (value + unit / 2) / unit == figure; }

template <class Model, int Image, int Patch, int Bottleneck> constexpr bool check_formulas() {
  constexpr Cost cost = cost_of<Model>(1);
  static_assert(cost.macs == expected_macs<Model, Image, Patch, Bottleneck>());
  static_assert(cost.parameters == expected_parameters<Model, Image, Patch, Bottleneck>());
  static_assert(cost.frozen == Index{Image / Patch} * (Image / Patch) * Model::width);
  static_assert(cost_of<Model>(4).macs == 4 * cost.macs && cost_of<Model>(4).saved == 4 * cost.saved);
  static_assert(cost_of<Model>(4).parameters == cost.parameters);
  return true;
}
static_assert(check_formulas<JiT_B_16, 256, 16, 128>());
static_assert(check_formulas<JiT_B_32, 512, 32, 128>());
static_assert(check_formulas<JiT_B_64, 1024, 64, 128>());
static_assert(check_formulas<JiT_L_16, 256, 16, 128>());
static_assert(check_formulas<JiT_L_32, 512, 32, 128>());
static_assert(check_formulas<JiT_H_16, 256, 16, 256>());
static_assert(check_formulas<JiT_H_32, 512, 32, 256>());
static_assert(check_formulas<JiT_G_16, 256, 16, 256>());
static_assert(check_formulas<JiT_G_32, 512, 32, 256>());

// Exact counts of the official modules, without and with the frozen position table.
static_assert(parameter_count<JiT_B_16>() == 131'123'712 && parameter_count<JiT_B_16>(true) == 131'320'320);
static_assert(parameter_count<JiT_B_32>() == 133'190'400 && parameter_count<JiT_B_32>(true) == 133'387'008);
static_assert(parameter_count<JiT_B_64>() == 141'457'152 && parameter_count<JiT_B_64>(true) == 141'653'760);
static_assert(parameter_count<JiT_L_16>() == 458'877'664 && parameter_count<JiT_L_16>(true) == 459'139'808);
static_assert(parameter_count<JiT_H_16>() == 952'514'368 && parameter_count<JiT_H_16>(true) == 952'842'048);

// The paper's rounded figures: millions of parameters with the table ...
static_assert(rounds_to(parameter_count<JiT_B_16>(true), 1'000'000, 131));
static_assert(rounds_to(parameter_count<JiT_B_32>(true), 1'000'000, 133));
static_assert(rounds_to(parameter_count<JiT_L_16>(true), 1'000'000, 459));
static_assert(rounds_to(parameter_count<JiT_L_32>(true), 1'000'000, 462));
static_assert(rounds_to(parameter_count<JiT_H_16>(true), 1'000'000, 953));
static_assert(rounds_to(parameter_count<JiT_H_32>(true), 1'000'000, 956));
static_assert(rounds_to(parameter_count<JiT_G_16>(true), 1'000'000'000, 2));
static_assert(rounds_to(parameter_count<JiT_G_32>(true), 1'000'000'000, 2));

// ... and hundredths of giga multiply-adds. (B/64 is 27.87, where the paper prints 30; G/16 is 383.74, where it prints 383.)
static_assert(rounds_to(cost_of<JiT_B_16>(1).macs, 10'000'000, 2522));
static_assert(rounds_to(cost_of<JiT_B_32>(1).macs, 10'000'000, 2575));
static_assert(rounds_to(cost_of<JiT_B_64>(1).macs, 10'000'000, 2787));
static_assert(rounds_to(cost_of<JiT_L_16>(1).macs, 10'000'000, 8794));
static_assert(rounds_to(cost_of<JiT_L_32>(1).macs, 10'000'000, 8862));
static_assert(rounds_to(cost_of<JiT_H_16>(1).macs, 10'000'000, 18195));
static_assert(rounds_to(cost_of<JiT_H_32>(1).macs, 10'000'000, 18285));
static_assert(rounds_to(cost_of<JiT_G_16>(1).macs, 10'000'000, 38374));
static_assert(rounds_to(cost_of<JiT_G_32>(1).macs, 10'000'000, 38488));

// SwiGLU's hidden width is the floor of 8/3 of the width.
static_assert(JiTTrunkB::hidden == 2048 && JiTTrunkL::hidden == 2730 && JiTTrunkH::hidden == 3413 && JiTTrunkG::hidden == 4437);

// Costs bound designs: a change that makes a forward pass dearer, or a training step fatter, fails here.
static_assert(cost_of<JiT_B_16>(1).macs <= 25'300'000'000);
static_assert(cost_of<JiT_B_16>(1).saved <= 52'000'000);

// Recomputation keeps the inputs of the blocks alone, and costs no more forward.
template <class... More> using Small = JiT<ImagePatches<64, 3, 16, 10>, JiTTrunk<128, 12, 2, 4, More...>, Head<Linear>, Bottleneck<32>>;
static_assert(cost_of<Small<Recompute>>(2).macs == cost_of<Small<>>(2).macs);
static_assert(cost_of<Small<Recompute>>(2).parameters == cost_of<Small<>>(2).parameters);
static_assert(10 * cost_of<Small<Recompute>>(2).saved < cost_of<Small<>>(2).saved);

// A wide residual stream costs memory alone, and that in bf16: what the two norms of each block read, of 16 tokens, then of 48.
static_assert(cost_of<Small<WideResidual>>(2).macs == cost_of<Small<>>(2).macs);
static_assert(cost_of<Small<WideResidual>>(2).saved_wide - cost_of<Small<>>(2).saved_wide == 2 * 2 * (4 * 16 + 8 * 48) * 128);
static_assert(training_memory<Small<WideResidual>, float>(2).activations == training_memory<Small<>, float>(2).activations);
static_assert(training_memory<Small<WideResidual>, bf16>(2).activations == training_memory<Small<>, bf16>(2).activations + 2 * 2 * 2 * (4 * 16 + 8 * 48) * 128);

// Every model has a cost: wrapped ones, those of other inputs, losses.
static_assert(cost_of<Preconditioned<JiT_B_16, EdmPrecondition>>(2).macs == cost_of<JiT_B_16>(2).macs);
using Namer = Classifier<ImagePatches<28, 1, 7, 10>, Transformer<64, 2, LayerNorm, GELU>>;
using Grey = Shape<dynamic, 1, 28, 28>;
static_assert(training_memory<Namer, float, Grey>(4).activations == 4 * training_memory<Namer, float, Grey>(1).activations);
// Row statistics stay in f32 where elements are bf16: activations are a little more than half.
static_assert(training_memory<Namer, bf16, Grey>(1).weights == 2 * training_memory<Namer, float, Grey>(1).weights);  // f32, and two copies in bf16
static_assert(training_memory<Namer, bf16, Grey>(1).gradients * 2 == 3 * training_memory<Namer, float, Grey>(1).gradients);
static_assert(training_memory<Namer, bf16, Grey>(1).moments == training_memory<Namer, float, Grey>(1).moments);
static_assert(training_memory<Namer, bf16, Grey>(1).activations * 2 ==
              training_memory<Namer, float, Grey>(1).activations + 4 * cost_of<Namer, Grey>(1).saved_wide);
constexpr Cost loss_cost = [] {
  Count count;
  const auto x = count.make<Shape<dynamic, 8>>(3), y = count.make<Shape<dynamic, 8>>(3);
  ops::weighted_mse(count, x, y, std::span(static_cast<const double*>(nullptr), 3));
  ops::cross_entropy(count, x, std::span(static_cast<const int*>(nullptr), 3));
  return count.cost;
}();
static_assert(loss_cost.macs == 0 && loss_cost.saved == 3 * 24);  // prediction, target, probabilities

}  // namespace
