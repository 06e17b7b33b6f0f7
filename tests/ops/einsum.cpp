// einsum against loops: values and gradients, for letters in every order. (Finite differences: cases.hpp.)
#include "ops/harness.hpp"

#include <map>

using namespace ops_test;

namespace {

// Sum over all assignments of the letters of left and right, by letter: what each element of `to` gathers from a * b, the
// three being any two terms and the third.
struct Named {
  std::string letters;
  Values* values;
};
void loops(const std::map<char, Index>& extent, const Named& a, const Named& b, const Named& to) {
  std::map<char, Index> at;
  const auto offset = [&](const Named& n) {
    Index i = 0;
    for (const char c : n.letters) i = i * extent.at(c) + at[c];
    return static_cast<std::size_t>(i);
  };
  Index total = 1;
  for (const auto& [c, n] : extent) total *= n;
  for (Index count = 0; count < total; ++count) {
    Index rest = count;
    for (const auto& [c, n] : extent) at[c] = rest % n, rest /= n;
    (*to.values)[offset(to)] += (*a.values)[offset(a)] * (*b.values)[offset(b)];
  }
}

// "b n d, m d -> b n m" without its blanks: three words.
std::array<std::string, 3> words(const std::string& subscripts) {
  std::array<std::string, 3> out;
  std::size_t at = 0;
  for (const char c : subscripts) {
    if (c == ',' || c == '>') ++at;
    else if (std::isalpha(static_cast<unsigned char>(c))) out[at] += c;
  }
  return out;
}

template <ops::Subscripts S, class X, class W, class Y, bool Parameter, class B> void check_on(Index batch) {
  INFO(std::string(S.text) << " on " << B::name << ", batch " << batch);
  B device;
  Workspace<B> workspace(device);
  Tape<B, double> tape(workspace);
  const Index x_batch = X::batched ? batch : 1, w_batch = W::batched ? batch : 1;
  Values x = values(x_batch * X::row, 1, 0), w = values(w_batch * W::row, 1, 1), d_w(w.size());
  Array<B, double> weights(device, Index(w.size())), gradients(device, Index(w.size()));
  weights.upload(w);
  Record<B, double> ctx(tape, weights, gradients);
  auto vx = ops::input<X>(ctx, std::span<const double>(x));
  ctx.require_gradient(vx);
  Values d_x, d_y, y;
  const auto run = [&](const auto& vw) {
    const auto vy = ops::einsum<S>(ctx, vx, vw);
    static_assert(std::is_same_v<typename decltype(vy)::shape, Y>);
    y = host(ctx, vy);
    CHECK(Index(y.size()) == vy.size());
    d_y = values(vy.size(), 1, 2);
    Kernels<B>::upload(device, ctx.gradient(vy).data, d_y.data(), vy.size());
    ctx.run_down_to(0);
    d_x.resize(static_cast<std::size_t>(vx.size()));
    Kernels<B>::download(device, d_x.data(), ctx.gradient_of(vx), vx.size());
  };
  if constexpr (Parameter) {
    run(Param<W>{0});
    gradients.download(d_w);
  } else {
    auto vw = ops::input<W>(ctx, std::span<const double>(w));
    ctx.require_gradient(vw);
    run(vw);
    d_w.resize(static_cast<std::size_t>(vw.size()));
    Kernels<B>::download(device, d_w.data(), ctx.gradient_of(vw), vw.size());
  }

  const auto [left, right, out] = words(S.text);
  std::map<char, Index> extent;
  for (std::size_t i = 0; i < left.size(); ++i) extent[left[i]] = X::extents[i] == dynamic ? batch : X::extents[i];
  for (std::size_t i = 0; i < right.size(); ++i) extent[right[i]] = W::extents[i] == dynamic ? batch : W::extents[i];
  Values expected_y(y.size()), expected_d_x(x.size()), expected_d_w(w.size());
  loops(extent, {left, &x}, {right, &w}, {out, &expected_y});
  loops(extent, {out, &d_y}, {right, &w}, {left, &expected_d_x});
  loops(extent, {left, &x}, {out, &d_y}, {right, &expected_d_w});
  check_within(relative_difference(y, expected_y), 1e-13, "value");
  check_within(relative_difference(d_x, expected_d_x), 1e-13, "gradient of the left operand");
  check_within(relative_difference(d_w, expected_d_w), 1e-13, "gradient of the right operand");
}
template <ops::Subscripts S, class X, class W, class Y, bool Parameter = !W::batched> void check() {
  check_on<S, X, W, Y, Parameter, Reference>(3);
  check_on<S, X, W, Y, Parameter, Tested>(3);
  check_on<S, X, W, Y, Parameter, Tested>(1);
}

}  // namespace

TEST_CASE("einsum: products with a parameter") {
  check<"b n d, m d -> b n m", Shape<dynamic, 4, 5>, Shape<6, 5>, Shape<dynamic, 4, 6>>();        // a linear layer
  check<"b n d, d m -> b n m", Shape<dynamic, 4, 5>, Shape<5, 6>, Shape<dynamic, 4, 6>>();
  check<"b n d, m d -> b m n", Shape<dynamic, 4, 5>, Shape<6, 5>, Shape<dynamic, 6, 4>>();        // transposed
  check<"b n h d, m h d -> b n m", Shape<dynamic, 4, 2, 5>, Shape<6, 2, 5>, Shape<dynamic, 4, 6>>();
  check<"b n h d, m d h -> b n m", Shape<dynamic, 4, 2, 5>, Shape<6, 5, 2>, Shape<dynamic, 4, 6>>();  // a copy is needed
  check<"b h d, h m d -> b h m", Shape<dynamic, 3, 5>, Shape<3, 6, 5>, Shape<dynamic, 3, 6>>();   // a matrix for each head
  check<"b h d, h m d -> b m h", Shape<dynamic, 3, 5>, Shape<3, 6, 5>, Shape<dynamic, 6, 3>>();
  check<"b n d, n m d -> b n m", Shape<dynamic, 4, 5>, Shape<4, 6, 5>, Shape<dynamic, 4, 6>>();
  check<"b d, d -> b", Shape<dynamic, 5>, Shape<5>, Shape<dynamic>>();                           // matrix times vector
  check<"b n d, d -> b n d", Shape<dynamic, 4, 5>, Shape<5>, Shape<dynamic, 4, 5>>();             // a scale: nothing is summed
  check<"b n, m -> b n m", Shape<dynamic, 4>, Shape<6>, Shape<dynamic, 4, 6>>();                  // outer
  check<"b i j k, k j i -> b", Shape<dynamic, 2, 3, 4>, Shape<4, 3, 2>, Shape<dynamic>>();
  check<"b i j k, k l i -> b l j", Shape<dynamic, 2, 3, 4>, Shape<4, 5, 2>, Shape<dynamic, 5, 3>>();
}

TEST_CASE("einsum: products of values") {
  check<"b n d, b m d -> b n m", Shape<dynamic, 4, 5>, Shape<dynamic, 6, 5>, Shape<dynamic, 4, 6>>();
  check<"b n d, b d m -> b n m", Shape<dynamic, 4, 5>, Shape<dynamic, 5, 6>, Shape<dynamic, 4, 6>>();
  check<"b n h d, b m h d -> b h n m", Shape<dynamic, 4, 2, 5>, Shape<dynamic, 6, 2, 5>, Shape<dynamic, 2, 4, 6>>();  // attention's scores
  check<"b h n m, b m h d -> b n h d", Shape<dynamic, 2, 4, 6>, Shape<dynamic, 6, 2, 5>, Shape<dynamic, 4, 2, 5>>();  // and what they weigh
  check<"b n d, b m d -> b m n", Shape<dynamic, 4, 5>, Shape<dynamic, 6, 5>, Shape<dynamic, 6, 4>>();
  check<"b n d, b n d -> b n", Shape<dynamic, 4, 5>, Shape<dynamic, 4, 5>, Shape<dynamic, 4>>();
  check<"b n d, b n d -> b n d", Shape<dynamic, 4, 5>, Shape<dynamic, 4, 5>, Shape<dynamic, 4, 5>>();  // elementwise
  check<"b d, b n -> b n d", Shape<dynamic, 5>, Shape<dynamic, 4>, Shape<dynamic, 4, 5>>();
}

TEST_CASE("einsum: the run-time batch is summed over") {
  check<"b n d, b m -> n d m", Shape<dynamic, 4, 5>, Shape<dynamic, 6>, Shape<4, 5, 6>>();
  check<"b n, b m -> m n", Shape<dynamic, 4>, Shape<dynamic, 6>, Shape<6, 4>>();
  check<"b n d, b m n -> d m", Shape<dynamic, 4, 5>, Shape<dynamic, 6, 4>, Shape<5, 6>>();
  check<"b n, b n -> ", Shape<dynamic, 4>, Shape<dynamic, 4>, Shape<>>();
}

TEST_CASE("einsum: static operands") {
  check<"n d, m d -> n m", Shape<4, 5>, Shape<6, 5>, Shape<4, 6>>();
  check<"n d, m d -> n m", Shape<4, 5>, Shape<6, 5>, Shape<4, 6>, false>();
  check<"n d,d m->m n", Shape<4, 5>, Shape<5, 6>, Shape<6, 4>>();  // blanks where letters meet, no others
}

TEST_CASE("einsum is linear and matmul, to the bit, and asks for no copies there") {
  const Problem<LinearMap<false, Activation::none>> problem(3);
  const auto expected = Bench<LinearMap<false, Activation::none>, Tested, float>(problem).record();
  using Same = EinsumWithParameter<Shape<dynamic, 4, 16>, Shape<12, 16>, "b n d, m d -> b n m", 0>;
  const Problem<Same> same(3);
  Bench<Same, Tested, float> bench(same);
  const auto found = bench.record();
  CHECK(found.value == expected.value);
  CHECK(relative_difference(found.inputs[0], expected.inputs[0]) < 1e-6);
  CHECK(relative_difference(found.parameters, expected.parameters) < 1e-6);
  bench.run();
  const std::size_t operands = (128 + 96) * sizeof(float);
  Workspace<Tested> fresh(bench.workspace().backend());
  Array<Tested, float> weights(bench.workspace().backend(), Index(same.weights.size()));
  weights.upload(as<float>(same.weights));
  Run<Tested> run(fresh, weights);
  ops::einsum<"b n d, m d -> b n m">(run, ops::input<Shape<dynamic, 4, 16>>(run, std::span<const double>(same.inputs[0])), same.parameters.weight);
  CHECK(fresh.pool().peak_bytes() == operands);
}

TEST_CASE("einsum: batches that differ are an error") {
  Tested device;
  Workspace<Tested> workspace(device);
  Run<Tested> ctx(workspace, nullptr);
  const Values numbers(12);
  const auto x = ops::input<Shape<dynamic, 2>>(ctx, std::span<const double>(numbers));
  const auto y = ops::input<Shape<dynamic, 3>>(ctx, std::span<const double>(numbers));
  try {
    ops::einsum<"b n, b m -> n m">(ctx, x, y);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.id() == "batch");
    CHECK(std::string(error.what()).find("6 and 4") != std::string::npos);
  }
}
