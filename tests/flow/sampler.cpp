// The sampler: orders of convergence, guidance and its interval, batches, errors.
#include "flow/support.hpp"

#include <sfumato/models/jit.hpp>
#include <sfumato/train/weights.hpp>

#include <algorithm>
#include <array>
#include <limits>

using namespace flow_test;

namespace {

using X = Shape<dynamic, 4>;

// dz/dt = z cos(4 t) + t from z = 1, in f64.
template <class Method> double solve(int steps) {
  Fixture f;
  auto z = ops::input_from<Shape<dynamic, 1>>(f.run, 1, [](double* out) { *out = 1; });
  z = integrate<Method>(f.run, z, {.steps = steps}, [&](const auto& at, double t) {
    const auto drift = ops::input_from<Shape<dynamic, 1>>(f.run, 1, [&](double* out) { *out = t; });
    return ops::combine(f.run, std::cos(4 * t), at, 1, drift);
  }, NoProgress{});
  return host(f.run, z)[0];
}

template <class Method> double error_ratio(int steps, double exact) {
  return std::abs(solve<Method>(steps) - exact) / std::abs(solve<Method>(2 * steps) - exact);
}

template <class Method = Heun> Values drawn(const SamplerOptions& options, const std::vector<int>& labels, const Net& net = {}, Index first = 0, std::uint64_t seed = 5) {
  Fixture f;
  return host(f.run, sample<X, Method>(f.run, net, FlowObjective<Space::x>{}, labels, seed, first, options));
}

// The x-, eps- and v-networks of the same velocity u(z, t) = 0.4 z - 0.1.
struct Field {
  Space space;
  static constexpr int classes = 1;
  auto operator()(auto& ctx, const auto& z, std::span<const double> times, std::span<const int>) const {
    using S = typename std::remove_cvref_t<decltype(z)>::shape;
    const auto c = convert(Space::v, space, times[0]);
    const auto rest = ops::input_from<S>(ctx, z.batch, [&](auto* out) { std::fill(out, out + z.size(), -0.1 * c.output); });
    return ops::combine(ctx, 0.4 * c.output + c.z, z, 1, rest);
  }
};

struct Weak {  // the labels it must be asked with are 0 and 2
  static constexpr int classes = Net::classes;
  Param<Shape<1>> slope;
  static constexpr void parameters(auto& self, auto&& visit) { visit("slope", self.slope); }
  auto operator()(auto& ctx, const auto& z, std::span<const double>, std::span<const int> labels) const {
    CHECK(std::vector<int>(labels.begin(), labels.end()) == std::vector<int>{0, 2});
    return ops::multiply_parameter(ctx, z, slope);
  }
};

struct Still {  // x = z: no velocity
  static constexpr int classes = 1;
  auto operator()(auto&, const auto& z, std::span<const double>, std::span<const int>) const { return z; }
};

/// As guidance sees a model with a class token: three latents, then the token.
struct Entangled {
  using LatentShape = Shape<dynamic, 3, 1, 1>;
};
/// Velocity 1 everywhere.
struct Steady : Net {
  template <class Ctx, class Z> auto operator()(Ctx& ctx, const Z& z, std::span<const double>, std::span<const int>) const {
    return ops::input_from<typename Z::shape>(ctx, z.batch, [&](auto* out) { std::fill(out, out + z.size(), std::remove_reference_t<decltype(*out)>(1.0f)); });
  }
};

}  // namespace

TEST_CASE("Euler is of order 1, Heun of order 2, its last Euler step included, Adams-Bashforth of order 3") {
  const double exact = solve<AdamsBashforth3>(1 << 14);
  CHECK(error_ratio<Euler>(128, exact) == doctest::Approx(2).epsilon(0.03));
  CHECK(error_ratio<Euler>(512, exact) == doctest::Approx(2).epsilon(0.01));
  CHECK(error_ratio<Heun>(128, exact) == doctest::Approx(4).epsilon(0.05));
  CHECK(error_ratio<Heun>(256, exact) == doctest::Approx(4).epsilon(0.03));
  CHECK(error_ratio<AdamsBashforth3>(128, exact) == doctest::Approx(8).epsilon(0.05));
  CHECK(error_ratio<AdamsBashforth3>(256, exact) == doctest::Approx(8).epsilon(0.03));
  CHECK(std::abs(solve<Heun>(64) - exact) < 0.2 * std::abs(solve<Euler>(64) - exact));
}

TEST_CASE("one step of Heun is a step of Euler") { CHECK(solve<Heun>(1) == solve<Euler>(1)); }

TEST_CASE("the guidance interval is open on both sides, and closed at 0") {
  SamplerOptions options{50, 3, 0.1, 1};
  CHECK(options.guidance_at(0) == 1);
  CHECK(options.guidance_at(5.0 / 50) == 1);
  CHECK(options.guidance_at(6.0 / 50) == 3);
  CHECK(options.guidance_at(0.98) == 3);
  CHECK(options.guidance_at(1) == 1);
  options.guidance_low = 0;
  CHECK(options.guidance_at(0) == 3);
  options.guidance_high = 0.5;
  CHECK(options.guidance_at(0.5) == 1);
  CHECK(options.guidance_at(0.49) == 3);
}

TEST_CASE("the network is called as often as the method says, the unconditional pass only where it counts") {
  const auto calls = []<class Method>(Method, const SamplerOptions& options) {
    int count = 0;
    drawn<Method>(options, {0, 1}, Net{nullptr, nullptr, &count});
    return count;
  };
  CHECK(calls(Euler{}, {10}) == 10);
  CHECK(calls(Heun{}, {10}) == 19);
  CHECK(calls(Euler{}, {10, 2}) == 20);
  CHECK(calls(Heun{}, {50, 2}) == 198);              // 99 velocities, as in arXiv 2511.13720
  CHECK(calls(Euler{}, {10, 2, 0.35, 0.75}) == 14);  // guided at 0.4 ... 0.7
  CHECK(calls(AdamsBashforth3{}, {10}) == 12);
}

TEST_CASE("labels and null labels, times on the grid, progress after each step") {
  Fixture f;
  std::vector<int> labels, done;
  Values times;
  const std::vector<int> asked{2, 3};
  sample<X>(f.run, Net{&labels, &times}, FlowObjective<Space::x>{}, asked, 1, 0, {2, 1.5}, [&](int i) { done.push_back(i); });
  CHECK(labels == std::vector<int>{2, 3, 3, 3, 2, 3, 3, 3, 2, 3, 3, 3});
  CHECK(times == Values{0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5});
  CHECK(done == std::vector<int>{0, 1});
}

TEST_CASE("guidance extrapolates velocities") {
  Fixture f;
  const FlowObjective<Space::v> objective;
  const std::vector<int> labels{0, 2};
  const auto z = ops::normal<X>(f.run, 2, {1, Stream::user, 0});
  const auto at = [&](double w) { return host(f.run, guided_velocity(f.run, Net{}, objective, z, 0.4, labels, w)); };
  const Values conditional = at(1), none = at(0), guided = at(2.5);
  for (std::size_t i = 0; i < guided.size(); ++i) CHECK(guided[i] == doctest::Approx(none[i] + 2.5 * (conditional[i] - none[i])));
  const Values zs = host(f.run, z);
  for (std::size_t i = 0; i < none.size(); ++i) CHECK(none[i] == doctest::Approx(Net::at(zs[i], 0.4, 3)));
}

TEST_CASE("AutoGuidance extrapolates from a weaker model of another type, with the same labels and weights of its own") {
  Fixture f;
  Weights<Weak, Reference, double> weak(f.device);
  weak.values().upload(std::vector<double>(std::size_t(weak.size()), 0.125));
  const std::vector<int> labels{0, 2};
  const auto z = ops::normal<X>(f.run, 2, {1, Stream::user, 0});
  const FlowObjective<Space::v> objective;
  const AutoGuidance guide{weak.model(), weak.values()};
  const Values zs = host(f.run, z), guided = host(f.run, guided_velocity(f.run, Net{}, objective, z, 0.4, labels, 1.5, guide));
  for (std::size_t i = 0; i < guided.size(); ++i) CHECK(guided[i] == doctest::Approx(0.125 * zs[i] + 1.5 * (Net::at(zs[i], 0.4, labels[i / 4]) - 0.125 * zs[i])));
  // Through the sampler: without guidance the guide is not asked.
  const SamplerOptions options{.steps = 3, .guidance = 1.5};
  const auto draw = [&](const SamplerOptions& o) { return host(f.run, sample<X, Euler>(f.run, Net{}, objective, labels, 1, 0, o, NoProgress{}, guide)); };
  CHECK(draw(options) != draw({.steps = 3}));
  CHECK(draw({.steps = 3}) == host(f.run, sample<X, Euler>(f.run, Net{}, objective, labels, 1, 0, {.steps = 3})));
}

TEST_CASE("a shifted grid: noise levels are shifted, and the last time is short of clean data") {
  Fixture f;
  Values times;
  const std::vector<int> labels{0};
  using Shift = ShiftBy<std::ratio<3>>;
  using Grid = ShiftedGrid<Shift, std::ratio<1, 10>>;
  sample<X, Euler, Grid>(f.run, Net{nullptr, &times}, FlowObjective<Space::v>{}, labels, 1, 0, {.steps = 3});
  CHECK(times.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const double noise = 1 - 0.3 * double(i);
    CHECK(times[i] == doctest::Approx(1 - 3 * noise / (1 + 2 * noise)));
  }
  CHECK(Grid::time(3, 3) == doctest::Approx(1 - 0.3 / 1.2));
  // On a field that knows its way, dz/dt = 1, all that matters is how far the grid goes.
  const auto zero = ops::input_from<X>(f.run, 1, [](double* out) { std::fill(out, out + 4, 0.0); });
  const auto end = host(f.run, integrate<Heun, Grid>(f.run, zero, {.steps = 3}, [&](const auto&, double) {
    return ops::input_from<X>(f.run, 1, [](double* out) { std::fill(out, out + 4, 1.0); });
  }, NoProgress{}));
  CHECK(end[0] == doctest::Approx(Grid::time(3, 3)));
}

TEST_CASE("all three predictions of one field are sampled alike, up to the clamps") {
  Fixture f;
  const auto z = ops::normal<X>(f.run, 2, {1, Stream::user, 0});
  const std::vector<int> labels{0, 0};
  for (const double t : {0.1, 0.5, 0.9}) {
    const Values x = host(f.run, guided_velocity(f.run, Field{Space::x}, FlowObjective<Space::x>{}, z, t, labels, 1));
    const Values e = host(f.run, guided_velocity(f.run, Field{Space::eps}, FlowObjective<Space::eps>{}, z, t, labels, 1));
    const Values v = host(f.run, guided_velocity(f.run, Field{Space::v}, FlowObjective<Space::v>{}, z, t, labels, 1));
    for (std::size_t i = 0; i < v.size(); ++i) {
      CHECK(x[i] == doctest::Approx(v[i]).epsilon(1e-10));
      CHECK(e[i] == doctest::Approx(v[i]).epsilon(1e-10));
    }
  }
}

TEST_CASE("sampling starts from the image's own noise, at the objective's scale") {
  Fixture f;
  FlowObjective<Space::x> objective;
  objective.noise_scale = 2;
  const std::vector<int> labels{0, 0, 0};
  const Values z = host(f.run, sample<X>(f.run, Still{}, objective, labels, 8, 10, {4}));
  for (std::size_t i = 0; i < z.size(); ++i) CHECK(z[i] == doctest::Approx(2 * Random{8, Stream::sample, 0}.normal(40 + i)).epsilon(1e-12));
}

TEST_CASE("an image is the same bits in any batch, on any number of threads") {
  using Trunk = Transformer<32, 2, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<3, 1>>;
  using Model = JiT<ImagePatches<16, 3, 4, 5>, Trunk, Head<Linear>, Bottleneck<6>>;
  const auto draw = [](std::vector<int> labels, Index first, int threads) {
    Cpu device(threads);
    Weights<Model, Cpu> weights(device, 3);
    std::vector<float> numbers(static_cast<std::size_t>(weights.size()));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(0.1 * Random{1, Stream::user, 0}.normal(i));
    weights.values().upload(numbers);
    Workspace<Cpu> workspace(device);
    Run<Cpu> ctx(workspace, weights.data());
    return host(ctx, sample<Model::ImageShape>(ctx, weights.model(), FlowObjective<Space::x>{}, labels, 4, first, {5, 2, 0.1, 1}));
  };
  const Values all = draw({0, 1, 2, 3, 4, 5, 0, 1, 2, 3}, 0, 1);
  CHECK(draw({0, 1, 2, 3, 4, 5, 0, 1, 2, 3}, 0, 3) == all);
  for (const auto& [first, count] : std::vector<std::pair<int, int>>{{0, 1}, {4, 1}, {2, 5}, {9, 1}}) {
    std::vector<int> labels;
    for (int i = first; i < first + count; ++i) labels.push_back(i % 6 == i ? i : (i - 6));
    const Values part = draw(labels, first, 1);
    CHECK(std::equal(part.begin(), part.end(), all.begin() + first * 768));
  }
  CHECK(draw({0}, 1, 1) != draw({0}, 0, 1));
}

TEST_CASE("images that are drawn with noise at every step are the same bits in any batch") {
  Fixture f;
  const auto draw = [&](std::vector<int> labels, Index first) {
    return host(f.run, sample<X, EulerMaruyama<>, LastStepGrid<>>(f.run, Net{}, FlowObjective<Space::v>{}, labels, 4, first, {.steps = 5, .guidance = 2}));
  };
  const Values all = draw({0, 1, 2, 0}, 3), part = draw({2, 0}, 5);
  CHECK(std::equal(part.begin(), part.end(), all.begin() + 8));
  CHECK(draw({2, 0}, 4) != part);
  const Values by_ode = host(f.run, sample<X, Euler, LastStepGrid<>>(f.run, Net{}, FlowObjective<Space::v>{}, std::vector<int>{2, 0}, 4, 5, {.steps = 5, .guidance = 2}));
  CHECK(by_ode != part);
}

TEST_CASE("the score of a Gaussian's noise, from its velocity, on both paths") {
  const auto check_score = [](const PathPoint& p) {
    const double x = 0.7, e = -1.3;
    const double z = p.data * x + p.noise * e, v = p.d_data * x + p.d_noise * e;
    CHECK(p.score().velocity * v + p.score().z * z == doctest::Approx(-e / p.noise).epsilon(1e-12));
  };
  for (const double t : {0.0, 0.1, 0.5, 0.96}) {
    check_score(LinearPath::at(t));
    check_score(CosinePath::at(t));
    const double h = 1e-6;
    for (const auto& [at, before, after] : {std::array{LinearPath::at(t), LinearPath::at(t - h), LinearPath::at(t + h)}, std::array{CosinePath::at(t), CosinePath::at(t - h), CosinePath::at(t + h)}}) {
      CHECK(at.d_data == doctest::Approx((after.data - before.data) / (2 * h)).epsilon(1e-8));
      CHECK(at.d_noise == doctest::Approx((after.noise - before.noise) / (2 * h)).epsilon(1e-8));
    }
  }
}

TEST_CASE("a class token is guided by its own scale, or not at all") {
  Fixture f;
  const auto c = ops::normal<Shape<dynamic, 5>>(f.run, 2, {1, Stream::user, 0}), u = ops::normal<Shape<dynamic, 5>>(f.run, 2, {1, Stream::user, 1});
  const Values of_c = host(f.run, c), of_u = host(f.run, u);
  for (const double scale : {0.0, -1.0, 1.5}) {
    const Values guided = host(f.run, ClassTokenGuidance<Entangled>{{}, scale}.combine(f.run, 2.5, c, u));
    for (std::size_t i = 0; i < 10; ++i) {
      const double w = i % 5 < 3 ? 2.5 : scale > 0 ? scale : 1;
      CHECK(guided[i] == doctest::Approx(of_u[i] + w * (of_c[i] - of_u[i])).epsilon(1e-12).scale(1));
    }
  }
}

TEST_CASE("in bf16 many small steps add up") {
  Cpu device(1);
  Workspace<Cpu> workspace(device);
  Run<Cpu, bf16> run(workspace, nullptr);
  const std::vector<int> labels{0};
  const auto z = sample<X>(run, Steady{}, FlowObjective<Space::v>{}, labels, 8, 0, {.steps = 1000});
  std::vector<bf16> drawn(4);
  ops::output(run, z, std::span(drawn));
  for (std::size_t i = 0; i < 4; ++i) CHECK(double(float(drawn[i])) == doctest::Approx(Random{8, Stream::sample, 0}.normal(i) + 1).epsilon(0.01).scale(1));
}

TEST_CASE("sampling finds its memory again and keeps none") {
  Cpu device(1);
  Workspace<Cpu> workspace(device);
  Run<Cpu> ctx(workspace, nullptr);
  const std::vector<int> labels{0, 1, 2};
  const auto draw = [&](int steps) { sample<X>(ctx, Net{}, FlowObjective<Space::x>{}, labels, 1, 0, {steps, 2}); };
  draw(2);
  const Index allocations = workspace.allocations();
  draw(20);
  CHECK(workspace.allocations() == allocations);
  CHECK(workspace.pool().live_bytes() == 0);
}

TEST_CASE("options that mean nothing are errors with their numbers") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  check_error([] { drawn({0}, {0}); }, "sampler-options", {"steps", "found 0"});
  check_error([] { drawn({-3}, {0}); }, "sampler-options", {"steps", "found -3"});
  check_error([] { drawn({4, -1}, {0}); }, "sampler-options", {"guidance", "found -1"});
  check_error([&] { drawn({4, nan}, {0}); }, "sampler-options", {"guidance", "nan"});
  check_error([] { drawn({4, 2, 0.6, 0.5}, {0}); }, "sampler-options", {"interval", "0.6", "0.5"});
  check_error([] { drawn({4, 2, -0.1, 0.5}, {0}); }, "sampler-options", {"interval", "-0.1"});
  check_error([] { drawn({4, 2, 0, 1.5}, {0}); }, "sampler-options", {"interval", "1.5"});
  check_error([&] { drawn({4, 2, nan, 1}, {0}); }, "sampler-options", {"interval", "nan"});
  check_error([] { drawn({4}, {0, 4}); }, "label-range", {"label 4", "sample 1", "0..3"});
  check_error([] { drawn({4}, {-1}); }, "label-range", {"label -1"});
  check_error([] { drawn({4}, {}); }, "batch", {"found 0"});
  CHECK(drawn({4}, {3}).size() == 4);  // the null class draws without a class
}

TEST_CASE("balanced labels: equally many of each class, class by class") {
  CHECK(balanced_labels(6, 3) == std::vector<int>{0, 0, 1, 1, 2, 2});
  CHECK(balanced_labels(3, 3) == std::vector<int>{0, 1, 2});
  CHECK(balanced_labels(4, 1) == std::vector<int>{0, 0, 0, 0});
  const auto published = balanced_labels(50'000, 1000);  // 50 of each
  CHECK(published.size() == 50'000);
  CHECK(std::is_sorted(published.begin(), published.end()));
  for (int c = 0; c < 1000; ++c) CHECK(std::count(published.begin(), published.end(), c) == 50);
  check_error([] { balanced_labels(10, 3); }, "sampler-options", {"10 images", "3 classes"});
  check_error([] { balanced_labels(2, 3); }, "sampler-options", {"2 images", "3 classes"});
  check_error([] { balanced_labels(0, 3); }, "sampler-options", {"0 images"});
  check_error([] { balanced_labels(-3, 3); }, "sampler-options", {"-3 images"});
  check_error([] { balanced_labels(3, 0); }, "sampler-options", {"0 classes"});
}
