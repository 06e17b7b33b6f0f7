// Fused ops against the same thing put together from plain ones, values and gradients, in f64 and f32; losses against loops.
#include "ops/harness.hpp"

using namespace ops_test;

namespace {

// Two cases of equal inputs and parameters. Inference too: some ops are fused there alone.
template <class E, class Fused, class Plain> void check_same_in(const std::string& type, double value_bound, double gradient_bound) {
  for (const std::uint64_t seed : {31, 32}) {
    const Problem<Fused> fused(seed);
    const Problem<Plain> plain(seed);
    Bench<Fused, Tested, E> fused_bench(fused);
    Bench<Plain, Tested, E> plain_bench(plain);
    check_within(relative_difference(fused_bench.run(), plain_bench.run()), value_bound, type + ", inferred value");
    const Gradients found = fused_bench.record(), expected = plain_bench.record();
    check_within(relative_difference(found.value, expected.value), value_bound, type + ", recorded value");
    REQUIRE(found.inputs.size() == expected.inputs.size());
    for (std::size_t i = 0; i < found.inputs.size(); ++i)
      check_within(relative_difference(found.inputs[i], expected.inputs[i]), gradient_bound, type + ", gradient of input " + std::to_string(i));
    check_within(relative_difference(found.parameters, expected.parameters), gradient_bound, type + ", gradient of the parameters");
  }
}
template <class Fused, class Plain> void check_same() {
  constexpr double ulp = 0x1p-23;  // of 1 in f32: the two round at other places
  check_same_in<double, Fused, Plain>("f64", 1e-13, 1e-12);
  check_same_in<float, Fused, Plain>("f32", 2 * ulp, 4 * ulp);
}

template <NormKind Kind, bool WithBias> using FusedNorm = ModulatedNorm<Kind, true, WithBias, 2, 1>;
template <NormKind Kind, bool WithBias> struct PlainNorm : FusedNorm<Kind, WithBias> {
  static constexpr auto build(auto& ctx, const auto& p, const auto& x, const auto& m) {
    const auto shift = ops::broadcast<1, 8>(ctx, ops::slice<1, 32, 48>(ctx, m)), scale = ops::broadcast<1, 8>(ctx, ops::slice<1, 16, 32>(ctx, m));
    const auto normed = ops::norm<Kind>(ctx, x, p.weight, p.bias, 1e-6);
    return ops::add(ctx, ops::add(ctx, normed, ops::multiply(ctx, normed, scale)), shift);
  }
};

struct PlainGatedResidual : GatedResidual {
  static constexpr auto build(auto& ctx, const auto&, const auto& x, const auto& h, const auto& m) {
    return ops::add(ctx, x, ops::multiply(ctx, ops::broadcast<1, 4>(ctx, ops::slice<1, 8, 16>(ctx, m)), h));
  }
};

struct PlainSwiGlu : SwiGlu {
  static constexpr auto build(auto& ctx, const auto&, const auto& x) {
    return ops::multiply(ctx, ops::silu(ctx, ops::slice<2, 0, 8>(ctx, x)), ops::slice<2, 8, 16>(ctx, x));
  }
};

template <Activation Act> struct PlainLinear : LinearMap<true, Act> {
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::activation(ctx, ops::linear(ctx, x, p.weight, p.bias), Act); }
};

// Two heads of width 8, 8 tokens of which Prefix are not turned: QK-norm, rotation, softmax(q k^T / sqrt(8)) v, step by step.
template <bool WithNorm, int Prefix, bool WithRotary> struct PlainSelfAttend : SelfAttend<WithNorm, Prefix, WithRotary> {
  template <class Ctx> static auto build(Ctx& ctx, const auto& p, const auto& qkv) {
    const auto heads = [&](const auto& x) { return ops::reshape<Shape<dynamic, 8, 2, 8>>(ctx, x); };              // (batch, tokens, heads, head width)
    const auto rows = [&](const auto& x) { return ops::reshape<Shape<dynamic, 8, 8>>(ctx, ops::permute<0, 2, 1, 3>(ctx, x)); };  // (batch heads, tokens, head width)
    const auto prepared = [&](const auto& x, const auto& weight) {
      const auto normed = [&] {
        if constexpr (WithNorm) return ops::norm<NormKind::rms>(ctx, x, weight, None{}, 1e-6);
        else return x;
      }();
      if constexpr (WithRotary) return rotated(ctx, normed);
      else return normed;
    };
    const auto q = rows(prepared(heads(ops::slice<2, 0, 16>(ctx, qkv)), p.q_norm));
    const auto k = rows(prepared(heads(ops::slice<2, 16, 32>(ctx, qkv)), p.k_norm));
    const auto v = rows(heads(ops::slice<2, 32, 48>(ctx, qkv)));
    const auto weights = ops::softmax(ctx, ops::scale(ctx, 1 / std::sqrt(8.0), ops::matmul<true>(ctx, q, k)));
    const auto out = ops::reshape<Shape<dynamic, 2, 8, 8>>(ctx, ops::matmul(ctx, weights, v));
    return ops::reshape<Shape<dynamic, 8, 16>>(ctx, ops::permute<0, 2, 1, 3>(ctx, out));
  }
  // x: (batch, 8 tokens, 2 heads, 8); pairs (2i, 2i + 1) turn by the row in the first half, by the column in the second.
  template <class Ctx> static auto rotated(Ctx& ctx, const auto& x) {
    const auto pairs = ops::reshape<Shape<dynamic, 8, 2, 4, 2>>(ctx, x);
    const auto table = [&](auto function) {
      return ops::input_from<Shape<dynamic, 8, 2, 4, 1>>(ctx, x.batch, [&](auto* out) {
        for (Index b = 0; b < x.batch; ++b)
          for (int token = 0; token < 8; ++token)
            for (int head = 0; head < 2; ++head)
              for (int pair = 0; pair < 4; ++pair) {
                const int patch = token - Prefix, position = patch < 0 ? 0 : pair < 2 ? patch / 2 : patch % 2;
                *out++ = function(position * std::pow(10000.0, -2.0 * (pair % 2) / 4));
              }
      });
    };
    const auto cosine = table([](double a) { return std::cos(a); }), sine = table([](double a) { return std::sin(a); });
    const auto even = ops::slice<4, 0, 1>(ctx, pairs), odd = ops::slice<4, 1, 2>(ctx, pairs);
    const auto turned_even = ops::subtract(ctx, ops::multiply(ctx, even, cosine), ops::multiply(ctx, odd, sine));
    const auto turned_odd = ops::add(ctx, ops::multiply(ctx, odd, cosine), ops::multiply(ctx, even, sine));
    return ops::reshape<Shape<dynamic, 8, 2, 8>>(ctx, ops::concat<4>(ctx, turned_even, turned_odd));
  }
};

// Separate q, k, v without heads' split: one head.
struct OneHead : Attend {
  static constexpr auto build(auto& ctx, const auto&, const auto& q, const auto& k, const auto& v) { return ops::attention<1>(ctx, q, k, v); }
};
struct PlainOneHead : Attend {
  static constexpr auto build(auto& ctx, const auto&, const auto& q, const auto& k, const auto& v) {
    return ops::matmul(ctx, ops::softmax(ctx, ops::scale(ctx, 0.25, ops::matmul<true>(ctx, q, k))), v);
  }
};

}  // namespace

TEST_CASE("modulated norm is norm, scale and shift") {
  check_same<FusedNorm<NormKind::rms, false>, PlainNorm<NormKind::rms, false>>();
  check_same<FusedNorm<NormKind::layer, true>, PlainNorm<NormKind::layer, true>>();
}
TEST_CASE("gated residual is a product and a sum") { check_same<GatedResidual, PlainGatedResidual>(); }
TEST_CASE("swiglu is silu and a product") { check_same<SwiGlu, PlainSwiGlu>(); }
TEST_CASE("a linear map with activation is one and the other") {
  check_same<LinearMap<true, Activation::silu>, PlainLinear<Activation::silu>>();
  check_same<LinearMap<true, Activation::gelu_erf>, PlainLinear<Activation::gelu_erf>>();
}
TEST_CASE("self-attention is QK-norm, rotation, softmax and products") {
  check_same<SelfAttend<false, 0, false>, PlainSelfAttend<false, 0, false>>();
  check_same<SelfAttend<true, 0, false>, PlainSelfAttend<true, 0, false>>();
  check_same<SelfAttend<false, 4, true>, PlainSelfAttend<false, 4, true>>();
  check_same<SelfAttend<true, 4, true>, PlainSelfAttend<true, 4, true>>();
}
TEST_CASE("attention of one head is softmax and products") { check_same<OneHead, PlainOneHead>(); }

TEST_CASE("norms by hand") {
  const auto verify = []<NormKind Kind>(std::integral_constant<NormKind, Kind>) {
    using C = Norm<Kind, true, false>;
    const Problem<C> problem(33);
    const Values y = Bench<C, Tested, double>(problem).run();
    for (std::size_t row = 0; row < 16; ++row) {
      const double* x = &problem.inputs[0][row * 12];
      double mean = 0, square = 0;
      for (int i = 0; i < 12; ++i) mean += x[i] / 12;
      if (Kind == NormKind::rms) mean = 0;
      for (int i = 0; i < 12; ++i) square += (x[i] - mean) * (x[i] - mean) / 12;
      for (std::size_t i = 0; i < 12; ++i)
        CHECK(y[row * 12 + i] == doctest::Approx((x[i] - mean) / std::sqrt(square + 1e-6) * problem.weights[i]).epsilon(1e-12));
    }
  };
  verify(std::integral_constant<NormKind, NormKind::rms>{});
  verify(std::integral_constant<NormKind, NormKind::layer>{});
}

TEST_CASE_TEMPLATE("values of 8 bits, by hand", E, double, float) {
  Tested device;
  Workspace<Tested> workspace(device);
  Tape<Tested, E> tape(workspace);
  // The nearest of 256 levels from -1 to 1. 0 lies between two of them, and goes to the upper.
  Values x{-1.2, -1, -0.9961, -0.996, -0.5, -0.003, 0, 0.003, 0.5, 0.996, 0.9961, 1.4}, expected;
  for (const int level : {0, 0, 0, 1, 64, 127, 128, 128, 191, 254, 255, 255}) expected.push_back(level / 127.5 - 1);
  for (int level = 0; level < 256; ++level) {  // themselves
    x.push_back(level / 127.5 - 1);
    expected.push_back(x.back());
  }
  Record<Tested, E> ctx(tape, nullptr, nullptr);
  auto input = ops::input<Shape<dynamic, 4>>(ctx, x);
  ctx.require_gradient(input);
  const auto y = ops::activation(ctx, input, ops::EightBits{});
  const Values found = host(ctx, y);
  for (std::size_t i = 0; i < x.size(); ++i) {
    INFO(x[i]);
    CHECK(std::abs(found[i] - expected[i]) < 1e-6);
  }
  // Nothing flows through it.
  ctx.backward(ops::sum_all(ctx, y));
  std::vector<E> gradient(x.size(), E(1));
  REQUIRE(ctx.gradient_of(input) != nullptr);
  Kernels<Tested>::download(device, gradient.data(), ctx.gradient_of(input), Index(x.size()));
  CHECK(gradient == std::vector<E>(x.size(), E(0)));
}

TEST_CASE("cross-entropy is minus the log-softmax of the label") {
  const Problem<CrossEntropy> problem(34);
  const Gradients g = Bench<CrossEntropy, Tested, double>(problem).record();
  const Values& x = problem.inputs[0];
  const double seed = problem.output_weights(1)[0];
  double loss = 0;
  for (std::size_t row = 0; row < 8; ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < 6; ++i) sum += std::exp(x[row * 6 + i]);
    const auto label = static_cast<std::size_t>(CrossEntropy::labels[row]);
    loss -= (x[row * 6 + label] - std::log(sum)) / 8;
    for (std::size_t i = 0; i < 6; ++i)
      CHECK(g.inputs[0][row * 6 + i] == doctest::Approx(seed * (std::exp(x[row * 6 + i]) / sum - (i == label)) / 8).epsilon(1e-12));
  }
  CHECK(g.value[0] == doctest::Approx(loss).epsilon(1e-13));
}

TEST_CASE("cross-entropy of large logits does not overflow") {
  Tested device;
  Workspace<Tested> workspace(device);
  Run<Tested> ctx(workspace, nullptr);
  const std::vector<float> logits{1e4f, -1e4f, 0, -1e4f, -1e4f, 1e4f};
  const std::vector<int> labels{0, 1};
  const auto loss = host(ctx, ops::cross_entropy(ctx, ops::input<Shape<dynamic, 3>>(ctx, std::span<const float>(logits)), labels));
  CHECK(loss[0] == doctest::Approx(1e4).epsilon(1e-6));
}

TEST_CASE("weighted squared error is a mean over samples of means over elements") {
  const Problem<WeightedMse> problem(35);
  const Gradients g = Bench<WeightedMse, Tested, double>(problem).record();
  double loss = 0;
  for (std::size_t b = 0; b < 2; ++b)
    for (std::size_t i = b * 32; i < (b + 1) * 32; ++i) loss += WeightedMse::weight[b] * std::pow(problem.inputs[0][i] - problem.inputs[1][i], 2) / 64;
  CHECK(g.value[0] == doctest::Approx(loss).epsilon(1e-13));
}

TEST_CASE("a mean squared error is a mean over all elements") {
  const Problem<Mse> problem(35);
  double loss = 0;
  for (std::size_t i = 0; i < 64; ++i) loss += std::pow(problem.inputs[0][i] - problem.inputs[1][i], 2) / 64;
  CHECK((Bench<Mse, Tested, double>(problem).record().value[0]) == doctest::Approx(loss).epsilon(1e-13));
}

TEST_CASE("a sum over everything, and a mean, are wide scalars") {
  Tested device;
  Workspace<Tested> workspace(device);
  Run<Tested, bf16> ctx(workspace, nullptr);
  const auto x = ops::input<Shape<dynamic, 3, 1>>(ctx, Values(999, 1.0));
  const auto sum = ops::sum_all(ctx, x), mean = ops::mean_all(ctx, x);
  static_assert(std::is_same_v<typename decltype(sum)::shape, Shape<>> && std::is_same_v<typename decltype(sum)::element, float>);
  CHECK(host(ctx, sum) == Values{999});  // no bf16
  CHECK(host(ctx, mean)[0] == doctest::Approx(1));
}
