// A trunk looked at between its blocks.
#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/nn/transformer.hpp>
#include <sfumato/ops/loss.hpp>
#include <sfumato/tensor/tensor.hpp>

#include "check_error.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <vector>

using namespace sfumato;
using backend::Cpu;

namespace {

template <int Depth, class... More> using Trunk = Transformer<16, Depth, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, More...>;
using X = Shape<dynamic, 4, 16>;

// Weights of four blocks; shorter trunks take the first of them.
template <class E, class... More> struct Fixture {
  Cpu device{1};
  Workspace<Cpu> workspace{device};
  Trunk<4, More...> trunk;
  Array<Cpu, E> weights{device, bind(trunk)}, gradients{device, weights.size()};

  Fixture() {
    std::vector<E> numbers(static_cast<std::size_t>(weights.size()));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<E>(float(0.2 * std::sin(0.37 * double(i) + 0.5)));
    weights.upload(numbers);
    zero();
  }
  void zero() { Kernels<Cpu>::fill(device, gradients.size(), 0.0, gradients.data()); }
  std::vector<float> parameter_gradients() const {
    std::vector<float> out(static_cast<std::size_t>(gradients.size()));
    std::vector<E> own(out.size());
    gradients.download(own);
    std::transform(own.begin(), own.end(), out.begin(), [](E v) { return static_cast<float>(v); });
    return out;
  }
};
template <IsShape S> auto input(auto& ctx, double phase) {
  return ops::input_from<S>(ctx, 2, [phase](auto* out) {
    for (Index i = 0; i < 2 * S::row; ++i) out[i] = static_cast<std::remove_reference_t<decltype(*out)>>(float(std::sin(0.7 * double(i) + phase)));
  });
}
template <class Ctx, class V> std::vector<float> host(Ctx& ctx, const V& v) {
  static_assert(std::is_same_v<typename V::element, typename Ctx::element>);  // no longer wide
  std::vector<float> out(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(out));
  return out;
}
// Calls a trunk, or its taps, with a condition where it takes one.
template <class T, class Call> auto called(auto& ctx, const T&, const Call& call) {
  if constexpr (T::modulated) return call(input<X>(ctx, 0.1), input<Shape<dynamic, 16>>(ctx, 0.9));
  else return call(input<X>(ctx, 0.1), None{});
}

template <class E, class... More> void verify() {
  Fixture<E, More...> f;
  Run<Cpu, E> ctx(f.workspace, f.weights);
  const auto whole = [&](auto trunk) {
    bind(trunk);
    return host(ctx, called(ctx, trunk, [&](const auto& x, const auto& c) { return trunk(ctx, x, c); }));
  };
  const auto seen = called(ctx, f.trunk, [&](const auto& x, const auto& c) { return f.trunk.template taps<0, 2, 3>(ctx, x, c); });
  static_assert(std::tuple_size_v<decltype(seen)> == 3);
  CHECK(host(ctx, std::get<0>(seen)) == whole(Trunk<1, More...>{}));
  CHECK(host(ctx, std::get<1>(seen)) == whole(Trunk<3, More...>{}));
  CHECK(host(ctx, std::get<2>(seen)) == whole(Trunk<4, More...>{}));

  // Gradients: those of the short trunks, from both; and none to the blocks behind.
  Tape<Cpu, E> tape(f.workspace);
  Record<Cpu, E> record(tape, f.weights, f.gradients);
  const std::vector<double> ones{1, 1};
  const auto loss = [&](const auto& y) { return ops::weighted_mse(record, y, input<X>(record, 2), ones); };
  const auto sum = [&](const auto& one, const auto& two) { record.backward(ops::combine(record, 1, loss(one), 1, loss(two))); return f.parameter_gradients(); };
  const auto [first, third] = called(record, f.trunk, [&](const auto& x, const auto& c) { return f.trunk.template taps<0, 2>(record, x, c); });
  const std::vector<float> found = sum(first, third);
  f.zero();
  Trunk<1, More...> one;
  Trunk<3, More...> three;
  bind(one), bind(three);
  const std::vector<float> expected = sum(called(record, one, [&](const auto& x, const auto& c) { return one(record, x, c); }),
                                          called(record, three, [&](const auto& x, const auto& c) { return three(record, x, c); }));
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < found.size(); ++i) difference += std::pow(found[i] - expected[i], 2), size += std::pow(expected[i], 2);
  CHECK(std::sqrt(difference / size) < (std::is_same_v<E, float> ? 1e-5 : 2e-2));
  CHECK(size > 0);
  CHECK(std::all_of(found.begin() + f.trunk.blocks[3].norm1.weight.offset, found.end(), [](float d) { return d == 0; }));
}

// They cost what the blocks up to the last of them do.
template <class T> constexpr Index macs(const auto& call) {
  Count count;
  call(count, T{}, Count::input<X>(2));
  return count.cost.macs;
}
static_assert(macs<Trunk<4>>([](Count& c, const auto& trunk, const auto& x) { trunk.template taps<0, 2>(c, x); }) ==
              macs<Trunk<3>>([](Count& c, const auto& trunk, const auto& x) { trunk(c, x); }));

}  // namespace

TEST_CASE("taps: what each of some blocks leaves behind is what a trunk that ends there gives") { verify<float>(); }
TEST_CASE("... with a condition") { verify<float, AdaLNZero>(); }
TEST_CASE("... recomputed") { verify<float, AdaLNZero, Recompute>(); }
TEST_CASE("... of a wide stream in bf16, narrow") { verify<bf16, WideResidual>(); }
