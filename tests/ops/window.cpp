// Neighbourhoods, picked tokens and moved images against loops, and by hand. (Finite differences: cases.hpp.)
#include "check_error.hpp"
#include "ops/harness.hpp"

using namespace ops_test;

namespace {

struct Fixture {
  Tested device;
  Workspace<Tested> workspace{device};
  Run<Tested, double> ctx{workspace, nullptr};

  template <IsShape S> auto input(const Values& numbers) { return ops::input<S>(ctx, numbers); }
};
Values count_up(Index n) {
  Values x;
  for (Index i = 0; i < n; ++i) x.push_back(static_cast<double>(i + 1));
  return x;
}
// x: (2, places, 4); weight: (6, 4, taps); where(place, tap): which place, -1 for none.
template <class Where> Values convolved(const Values& x, const Values& weight, const Values& bias, std::size_t places, std::size_t taps, const Where& where) {
  constexpr std::size_t channels = 4;
  Values y;
  for (std::size_t b = 0; b < 2; ++b)
    for (std::size_t p = 0; p < places; ++p)
      for (std::size_t o = 0; o < 6; ++o) {
        double sum = bias.empty() ? 0 : bias[o];
        for (std::size_t c = 0; c < channels; ++c)
          for (std::size_t k = 0; k < taps; ++k)
            if (const int from = where(int(p), int(k)); from >= 0) sum += weight[(o * channels + c) * taps + k] * x[(b * places + std::size_t(from)) * channels + c];
        y.push_back(sum);
      }
  return y;
}
// A case of a convolution against the loops.
template <class C> void verify(std::size_t places, std::size_t taps, const auto& where) {
  const Problem<C> problem(41);
  std::vector<Values> parts(2);  // weight, and bias if any
  std::size_t number = 0;
  for (const ParameterInfo& p : parameter_table(problem.parameters)) parts[number++] = Values(problem.weights.begin() + p.offset, problem.weights.begin() + p.offset + p.size);
  const Values expected = convolved(problem.inputs[0], parts[0], parts[1], places, taps, where);
  check_within(relative_difference(Bench<C, Tested, double>(problem).run(), expected), 1e-14, "value");
}

}  // namespace

TEST_CASE("convolutions are sums over neighbours: on a ring, and on a grid with zeros around") {
  const auto ring = [](int p, int k) { return (p + k - 1 + 8) % 8; };
  const auto grid = [](int p, int k) {
    const int row = p / 4 + k / 3 - 1, column = p % 4 + k % 3 - 1;
    return row < 0 || row > 3 || column < 0 || column > 3 ? -1 : 4 * row + column;
  };
  verify<CircularConvolution<true>>(8, 3, ring);
  verify<CircularConvolution<false>>(8, 3, ring);
  verify<PointConvolution>(8, 1, [](int p, int) { return p; });
  verify<Convolution<true>>(16, 9, grid);
  verify<Convolution<false>>(16, 9, grid);
}

TEST_CASE("max_pool takes the largest of four, and gives its gradient to the first of equals") {
  Fixture f;
  const Values one{1, 2, 3, 4, 5, 6, 7, 0, -1, -2, 9, 9, -4, -3, 9, 9};
  Values x;  // two channels: these, and their negatives
  for (const double v : one) x.push_back(v), x.push_back(-v);
  CHECK(host(f.ctx, ops::max_pool(f.ctx, f.input<Shape<dynamic, 16, 2>>(x))) == Values{6, -1, 7, 0, -1, 4, 9, -9});

  Tape<Tested, double> tape(f.workspace);
  Record<Tested, double> ctx(tape, nullptr, nullptr);
  auto leaf = ops::input<Shape<dynamic, 16, 2>>(ctx, x);
  ctx.require_gradient(leaf);
  ctx.backward(ops::sum_all(ctx, ops::max_pool(ctx, leaf)));
  Values d(x.size()), expected(x.size());
  Kernels<Tested>::download(f.device, d.data(), ctx.gradient_of(leaf), Index(d.size()));
  for (const std::size_t at : {5, 6, 8, 10}) expected[2 * at] = 1;       // 6, 7, -1, the first 9
  for (const std::size_t at : {0, 7, 12, 10}) expected[2 * at + 1] = 1;  // -1, 0, 4, the first -9
  CHECK(d == expected);
}

TEST_CASE("translate moves down and right, each image its own way, and fills with zeros") {
  Fixture f;
  const auto x = f.input<Shape<dynamic, 1, 2, 3>>(count_up(18));
  const std::vector<int> shifts{1, 1, 0, -1, 2, 0};
  CHECK(host(f.ctx, ops::translate(f.ctx, x, shifts)) == Values{0, 0, 0, 0, 1, 2, 8, 9, 0, 11, 12, 0, 0, 0, 0, 0, 0, 0});
  const auto colours = f.input<Shape<dynamic, 3, 2, 1>>(count_up(6));  // all channels alike
  CHECK(host(f.ctx, ops::translate(f.ctx, colours, std::span(shifts).subspan(1, 2))) == Values{0, 1, 0, 3, 0, 5});
  check_error([&] { ops::translate(f.ctx, x, std::span(shifts).first(5)); }, "batch", {"5 shifts", "3 images"});
}

TEST_CASE("gather picks each sample's tokens, in the order named") {
  Fixture f;
  const auto x = f.input<Shape<dynamic, 3, 2>>(count_up(12));
  const auto gather = [&](const std::vector<int>& tokens) { return host(f.ctx, ops::gather<2>(f.ctx, x, tokens)); };
  CHECK(gather({2, 0, 1, 2}) == Values{5, 6, 1, 2, 9, 10, 11, 12});
  CHECK(gather({0, 1, 0, 1}) == Values{1, 2, 3, 4, 7, 8, 9, 10});  // the same in every sample
  check_error([&] { gather({0, 1, 0, 3}); }, "token-range", {"token 3", "sample 1", "0..2"});
  check_error([&] { gather({0, -1, 0, 1}); }, "token-range", {"token -1", "sample 0", "0..2"});
  check_error([&] { gather({0, 1, 2, 2}); }, "token-range", {"token 2", "sample 1", "twice"});
  check_error([&] { gather({0, 1, 2}); }, "batch", {"3 tokens", "2 samples of 2"});
}
