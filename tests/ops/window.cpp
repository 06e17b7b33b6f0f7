// Neighbourhoods, picked tokens and moved images against loops, and by hand. (Finite differences: cases.hpp.)
#include "check_error.hpp"
#include "ops/harness.hpp"

#include <algorithm>
#include <numeric>

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
// Of any width: wide enough for Winograd's, both ways, or of one channel.
template <int In, int Out, int Side> struct WideConvolution : Case {
  using Parameters = WeightAndBias<Shape<Out, In, 3, 3>, true>;
  using Values = Inputs<Shape<dynamic, Side * Side, In>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::convolution<3>(ctx, x, p.weight, p.bias); }
};
// Group norm over more places than a part holds.
struct ManyPlaces : Case {
  using Parameters = WeightAndBias<Shape<16>, true>;
  using Values = Inputs<Shape<dynamic, 300, 16>>;
  static constexpr auto build(auto& ctx, const auto& p, const auto& x) { return ops::group_norm<4>(ctx, x, p.weight, p.bias, 1e-6); }
};
// x: (2, places, channels); weight: (6, channels, taps); where(window, tap): which place, -1 for none.
template <class Where> Values convolved(const Values& x, const Values& weight, const Values& bias, std::size_t channels, std::size_t windows, std::size_t taps, const Where& where) {
  const std::size_t places = x.size() / 2 / channels;
  Values y;
  for (std::size_t b = 0; b < 2; ++b)
    for (std::size_t p = 0; p < windows; ++p)
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
template <class C, int Channels = 4> void verify(std::size_t windows, std::size_t taps, const auto& where) {
  const Problem<C> problem(41);
  std::vector<Values> parts(2);  // weight, and bias if any
  std::size_t number = 0;
  for (const ParameterInfo& p : parameter_table(problem.parameters)) parts[number++] = Values(problem.weights.begin() + p.offset, problem.weights.begin() + p.offset + p.size);
  const Values expected = convolved(problem.inputs[0], parts[0], parts[1], Channels, windows, taps, where);
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
  verify<WideConvolution<1, 6, 4>, 1>(16, 9, grid);
  verify<StridedConvolution>(4, 9, [](int p, int k) {  // windows begin at their place: zeros below and on the right
    const int row = p / 2 * 2 + k / 3, column = p % 2 * 2 + k % 3;
    return row > 3 || column > 3 ? -1 : 4 * row + column;
  });
  verify<StridedPointConvolution>(4, 1, [](int p, int) { return p / 2 * 8 + p % 2 * 2; });
}

TEST_CASE("Winograd's and the folding convolution are the plain one, value and gradients, over several parts of its tiles") {
  const auto same = []<class C>(std::type_identity<C>) {
    const Problem<C> problem(43);
    const auto of = [&]<class B, class E>(std::type_identity<B>, std::type_identity<E>) { return Bench<C, B, E>(problem).record(); };
    const Gradients plain = of(std::type_identity<Reference>{}, std::type_identity<double>{});
    for (const auto& [found, bound] : {std::pair{of(std::type_identity<Tested>{}, std::type_identity<double>{}), 1e-13}, {of(std::type_identity<Tested>{}, std::type_identity<float>{}), 1e-6}}) {
      check_within(relative_difference(found.value, plain.value), bound, "value");
      check_within(relative_difference(found.inputs[0], plain.inputs[0]), bound, "gradient of the input");
      check_within(relative_difference(found.parameters, plain.parameters), bound, "gradient of the parameters");
    }
    Bench<C, Tested, float> bench(problem);
    const Values both = bench.run();
    CHECK(both == of(std::type_identity<Tested>{}, std::type_identity<float>{}).value);
    const auto half = std::ptrdiff_t(problem.inputs[0].size() / 2);
    const Values alone = bench.run({Values(problem.inputs[0].begin() + half, problem.inputs[0].end())}, problem.weights);  // the second sample
    CHECK(std::equal(alone.begin(), alone.end(), both.begin() + std::ptrdiff_t(both.size() / 2)));
  };
  same(std::type_identity<WideConvolution<48, 32, 4>>{});
  same(std::type_identity<WideConvolution<64, 64, 34>>{});
  same(std::type_identity<WideConvolution<32, 3, 6>>{});  // by folding, and back by unfolding
}

TEST_CASE("group_norm: by loops, over several parts of its places, and where the values are far from 0") {
  constexpr int places = 300, channels = 32, groups = 8, width = channels / groups;
  Fixture f;
  WeightAndBias<Shape<channels>, true> layer;
  const Values weights = values(bind(layer), 6, 1);
  Array<Tested, float> array(f.device, Index(weights.size()));
  array.upload(as<float>(weights));
  for (const double far : {0.0, 1000.0}) {
    Values x = values(2 * places * channels, 7, 2);
    for (double& v : x) v += far;
    const std::vector<float> given = as<float>(x);
    Values expected(x.size());
    for (std::size_t b = 0; b < 2; ++b)
      for (std::size_t g = 0; g < groups; ++g) {
        double sum = 0, squares = 0;
        const auto each = [&](const auto& visit) {
          for (std::size_t p = 0; p < places; ++p)
            for (std::size_t c = g * width; c < (g + 1) * width; ++c) visit((b * places + p) * channels + c, c);
        };
        each([&](std::size_t i, std::size_t) { sum += double(given[i]); });
        const double mean = sum / (places * width);
        each([&](std::size_t i, std::size_t) { squares += (double(given[i]) - mean) * (double(given[i]) - mean); });
        const double rstd = 1 / std::sqrt(squares / (places * width) + 1e-6);
        each([&](std::size_t i, std::size_t c) { expected[i] = (double(given[i]) - mean) * rstd * weights[std::size_t(layer.weight.offset) + c] + weights[std::size_t(layer.bias.offset) + c]; });
      }
    Run<Tested, float> run(f.workspace, array);
    check_within(relative_difference(host(run, ops::group_norm<groups>(run, ops::input<Shape<dynamic, places, channels>>(run, std::span<const float>(given)), layer.weight, layer.bias, 1e-6)), expected),
                 far == 0 ? 3e-7 : 1e-4, "group_norm");  // a mean of 1000 is known to 6e-5 in f32
  }
}

TEST_CASE("group_norm: gradients over several parts of its places, along a direction") {
  const Problem<ManyPlaces> problem(44);
  Bench<ManyPlaces, Reference, double> bench(problem);
  const auto loss = [&](double step) {
    auto inputs = problem.inputs;
    Values weights = problem.weights;
    for (std::size_t i = 0; i < inputs[0].size(); ++i) inputs[0][i] += step * std::sin(0.7 * double(i));
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += step * std::cos(0.4 * double(i));
    const Values y = bench.run(inputs, weights), w = problem.output_weights(y.size());
    return std::inner_product(y.begin(), y.end(), w.begin(), 0.0);
  };
  const double expected = (loss(1e-5) - loss(-1e-5)) / 2e-5;
  const auto along = [&](const Gradients& g) {
    double sum = 0;
    for (std::size_t i = 0; i < g.inputs[0].size(); ++i) sum += g.inputs[0][i] * std::sin(0.7 * double(i));
    for (std::size_t i = 0; i < g.parameters.size(); ++i) sum += g.parameters[i] * std::cos(0.4 * double(i));
    return sum;
  };
  CHECK(along(bench.record()) == doctest::Approx(expected).epsilon(1e-7));
  CHECK(along(Bench<ManyPlaces, Tested, double>(problem).record()) == doctest::Approx(expected).epsilon(1e-7));
}

TEST_CASE("batch_norm: by loops, and what it took out") {
  constexpr int places = 300, channels = 16, n = 2 * places;
  Fixture f;
  const Values x = values(n * channels, 8, 3);
  const auto [normed, statistics] = ops::batch_norm(f.ctx, f.input<Shape<dynamic, places, channels>>(x), 1e-5);
  Values expected(x.size()), taken(2 * channels);
  for (std::size_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) sum += x[i * channels + c];
    for (std::size_t i = 0; i < n; ++i) squares += (x[i * channels + c] - sum / n) * (x[i * channels + c] - sum / n);
    taken[c] = sum / n;
    taken[channels + c] = 1 / std::sqrt(squares / n + 1e-5);
    for (std::size_t i = 0; i < n; ++i) expected[i * channels + c] = (x[i * channels + c] - taken[c]) * taken[channels + c];
  }
  check_within(relative_difference(host(f.ctx, normed), expected), 1e-13, "batch_norm");
  check_within(relative_difference(host(f.ctx, statistics), taken), 1e-13, "its statistics");
}

TEST_CASE("upsample_nearest repeats rows and columns") {
  Fixture f;
  CHECK(host(f.ctx, ops::upsample_nearest<2>(f.ctx, f.input<Shape<dynamic, 4, 1>>({1, 2, 3, 4}))) == Values{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4});
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
