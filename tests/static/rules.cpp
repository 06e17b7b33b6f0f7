// What the compiler must accept and refuse without words: concepts, the figures behind rules, options and shapes. The rules'
// messages are under tests/reject.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/classifier.hpp>
#include <sfumato/models/jit.hpp>

#include <string>

namespace {

using namespace sfumato;

// Concepts of kinds.
static_assert(Backend<backend::Cpu> && Backend<backend::Reference>);
static_assert(Element<float> && Element<double> && Element<bf16> && !Element<int> && !Element<const float>);
static_assert(NormPolicy<RMSNorm> && NormPolicy<LayerNorm> && NormPolicy<LayerNormNoAffine> && !NormPolicy<SwiGLU> && !NormPolicy<int>);
static_assert(ActPolicy<SwiGLU> && ActPolicy<GELU> && ActPolicy<ReLU> && ActPolicy<GELUTanh> && !ActPolicy<RMSNorm> && !ActPolicy<int>);
static_assert(TimeLaw<LogitNormal<>> && TimeLaw<UniformTime> && !TimeLaw<RMSNorm>);
static_assert(IsShape<Shape<dynamic, 4>> && IsShape<Shape<>> && !IsShape<int>);
static_assert(AnyValue<Value<Count, Shape<4>>> && !AnyValue<Shape<4>> && !AnyValue<Param<Shape<4>>> && IsParam<Param<Shape<4>>> && !IsParam<None>);

// Shapes.
static_assert(Shape<dynamic, 3, 4>::row == 12 && Shape<dynamic, 3, 4>::rank == 3 && Shape<dynamic, 3, 4>::batched && !Shape<3, 4>::batched && Shape<>::row == 1);
static_assert(Shape<dynamic, 65536, 65536>::row == Index{1} << 32);  // wider than int
static_assert(std::is_same_v<replace_extent<Shape<dynamic, 3, 4>, 1, 5>, Shape<dynamic, 5, 4>> && std::is_same_v<erase_extent<Shape<dynamic, 3, 4>, 1>, Shape<dynamic, 4>>);
static_assert(std::is_same_v<permuted<Shape<dynamic, 3, 4>, 0, 2, 1>, Shape<dynamic, 4, 3>> && width_of<Shape<dynamic, 3, 4>> == 4 && extent<Shape<dynamic, 3>, 0> == dynamic);
static_assert(rule::batch_leads<dynamic, 3>() && rule::batch_leads<3>() && rule::batch_leads<>() && !rule::batch_leads<3, dynamic>() && !rule::batch_leads<0>() && !rule::batch_leads<dynamic, -2>());

// bf16 rounds to nearest even, and keeps NaN and infinity.
static_assert(float(bf16(1.0f)) == 1 && float(bf16(1.00390625f)) == 1 && float(bf16(1.01171875f)) == 1.015625f && bf16(3.5f).bits == 0x4060);
static_assert(float(bf16(3.4e38f)) > 3.3e38f && float(bf16(__builtin_inff())) == __builtin_inff() && float(bf16(-0.0f)) == 0 && bf16(-0.0f).bits == 0x8000);
static_assert(bf16(__builtin_nanf("")).bits > 0x7f80);
static_assert(std::is_same_v<compute_t<bf16>, float> && std::is_same_v<compute_t<double>, double>);

// Option defaults, and options in any order.
using Plain = Transformer<128, 4, LayerNorm, GELU>;
static_assert(Plain::heads == 2 && !Plain::modulated && !Plain::rotary && Plain::context_tokens == 0 && Plain::hidden == 512 && Plain::biased && !Plain::recomputes);
using Rich = Transformer<96, 4, RMSNorm, SwiGLU, TimeToken, Recompute, Bias<false>, Context<8, 2>, MlpRatio<7, 2>, AdaLNZero, Rotary, Heads<6>, QKNorm>;
static_assert(Rich::heads == 6 && Rich::modulated && Rich::rotary && Rich::context_tokens == 9 && Rich::class_tokens == 8 && Rich::context_start == 2 && Rich::hidden == 336 &&
              !Rich::biased && Rich::recomputes && Rich::time_token);
static_assert(Transformer<32, 1, RMSNorm, ReLU>::heads == 1 && Transformer<768, 1, RMSNorm, SwiGLU>::heads == 12 && Transformer<32, 4, RMSNorm, SwiGLU>::hidden == 85);

// A model and its objective together: who may predict what.
template <int Width, class... Options> using Model = JiT<ImagePatches<16, 3, 4, 10>, Transformer<Width, 2, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Options...>;
static_assert(Model<32>::path_width == 32 && Model<64>::path_width == 64 && Model<64, Bottleneck<16>>::path_width == 16 && Model<64>::token_dim == 48);
template <class M> constexpr int predictions = FlowObjective<Space::x>::fits<M> + 2 * FlowObjective<Space::eps>::fits<M> + 4 * FlowObjective<Space::v>::fits<M>;
static_assert(predictions<Model<32>> == 1 && predictions<Model<47>> == 1 && predictions<Model<48>> == 7 && predictions<Model<64, Bottleneck<47>>> == 1 && predictions<Model<64, Bottleneck<48>>> == 7);
static_assert(predictions<JiT_B_16> == 1 && predictions<JiT_B_32> == 1);  // a bottleneck of 128 for tokens of 768 and 3072
static_assert(Model<32, Waive<rule::output_path>>::waives<rule::output_path> && !Model<32>::waives<rule::output_path> && !Model<32, Waive<rule::output_path>>::waives<rule::bottleneck_width>);
// Waivers may be several; every pair of spaces is a type of its own.
static_assert(Model<32, Waive<rule::output_path>, Waive<rule::bottleneck_width>>::waives<rule::bottleneck_width>);
static_assert(FlowObjective<Space::eps>::loss_space == Space::v && FlowObjective<Space::eps, Space::x>::loss_space == Space::x);

// Counting: what is known by hand. A frozen table is stored, not trained.
using Map = layer::Linear<16, 8>;
static_assert(parameter_count<Map>() == 16 * 8 + 8 && cost_of<Map, Shape<dynamic, 4, 16>>(3).macs == 3 * 4 * 16 * 8 && cost_of<Map, Shape<dynamic, 4, 16>>(3).saved == 0);
static_assert(cost_of<Model<32>>(1).frozen == 16 * 32 && parameter_count<Model<32>>(true) == parameter_count<Model<32>>() + 16 * 32);
static_assert(parameter_count<Transformer<64, 2, LayerNorm, GELU, Bias<false>>>() == 2 * (4 * 64 * 64 + 8 * 64 * 64 + 4 * 64));
static_assert(parameter_count<Transformer<64, 2, LayerNormNoAffine, GELU, Bias<false>>>() == 2 * 12 * 64 * 64);
static_assert(parameter_count<Transformer<64, 2, RMSNorm, SwiGLU, Bias<false>, MlpRatio<2>, QKNorm, Heads<4>>>() == 2 * (4 * 64 * 64 + 6 * 64 * 64 + 2 * 64 + 2 * 16));
using Judge = Classifier<ImagePatches<28, 1, 7, 10>, Transformer<32, 2, LayerNorm, GELU>>;
static_assert(cost_of<Judge, Shape<dynamic, 1, 28, 28>>(2).macs == 2 * cost_of<Judge, Shape<dynamic, 1, 28, 28>>(1).macs);

// Layout: every parameter starts on a cache line.
constexpr Index bound_size = [] { Map map; return bind(map); }();
static_assert(bound_size == 128 + 16);

// Random numbers in constant expressions.
static_assert(Random{1, Stream::time, 0}.bits(5) == Random{1, Stream::time, 0}.words(1)[1] && Random{1, Stream::time, 0}.bits(5) != Random{1, Stream::noise, 0}.bits(5));
static_assert(Random{1, Stream::time, 0}.uniform(0) > 0 && Random{1, Stream::time, 0}.uniform(0) < 1 && Random{3, Stream::shuffle, 2}.below(7, 10) < 10);

}  // namespace
