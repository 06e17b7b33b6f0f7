// FlowObjective: the loss against its definition for all nine pairs, labels, batches, soundness.
#include "flow/support.hpp"

using namespace flow_test;

namespace {

using X = Shape<dynamic, 4>;
constexpr Index batch = 64;

Values data(Index n) {
  Values x(static_cast<std::size_t>(4 * n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.7 * double(i));
  return x;
}

// E over the batch of |prediction - truth|^2 / 4 in the loss space, both carried there by the clamped conversions.
template <class Objective> double by_definition(const Objective& objective, const Values& x, const Values& times, const std::vector<int>& labels, std::uint32_t step) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t b = i / 4;
    const double t = times[b], e = objective.noise_scale * Random{17, Stream::noise, step}.normal(i), z = t * x[i] + (1 - t) * e;
    const Truth true_weights = truth(Objective::prediction);
    const Conversion c = convert(Objective::prediction, Objective::loss_space, t, objective.t_epsilon);
    const double found = c.output * Net::at(z, t, labels[b]) + c.z * z, target = c.output * (true_weights.x * x[i] + true_weights.e * e) + c.z * z;
    sum += (found - target) * (found - target);
  }
  return sum / double(x.size());
}

template <Space Prediction, Space Loss, class Times> void check_pair() {
  Fixture f;
  FlowObjective<Prediction, Loss, Times> objective;
  objective.noise_scale = 1.5;
  const Values x = data(batch);
  std::vector<int> labels(batch), seen;
  for (Index b = 0; b < batch; ++b) labels[std::size_t(b)] = int(b % 3);
  Values times;
  auto ctx = f.record(3);
  const auto loss = host(ctx, objective.loss(ctx, Net{&seen, &times}, ops::input<X>(ctx, std::span<const double>(x)), labels));
  REQUIRE(times.size() == batch);
  for (std::size_t b = 0; b < batch; ++b) {
    CHECK(times[b] == Times::sample(Random{17, Stream::time, 3}, b));
    CHECK((seen[b] == labels[b] || seen[b] == Net::classes));
  }
  CHECK(loss[0] == doctest::Approx(by_definition(objective, x, times, seen, 3)).epsilon(1e-9));
}

struct Narrow {
  static constexpr int token_dim = 8, path_width = 4;
};

}  // namespace

TEST_CASE("the loss of all nine pairs is its definition, clamps included") {
  const auto rows = []<Space Prediction>(std::integral_constant<Space, Prediction>) {
    check_pair<Prediction, Space::x, UniformTime>();
    check_pair<Prediction, Space::eps, UniformTime>();
    check_pair<Prediction, Space::v, UniformTime>();
    check_pair<Prediction, Space::v, LogitNormal<>>();
  };
  rows(std::integral_constant<Space, Space::x>{});
  rows(std::integral_constant<Space, Space::eps>{});
  rows(std::integral_constant<Space, Space::v>{});
}

TEST_CASE("labels are dropped at their rate, by step and sample") {
  Fixture f;
  FlowObjective<Space::x> objective;
  constexpr Index many = 4096;
  const Values x = data(many);
  const std::vector<int> labels(many, 1);
  const auto seen = [&](std::uint32_t step) {
    std::vector<int> out;
    auto ctx = f.record(step);
    objective.loss(ctx, Net{&out}, ops::input<X>(ctx, std::span<const double>(x)), labels);
    return out;
  };
  const auto first = seen(0);
  const auto dropped = double(std::count(first.begin(), first.end(), Net::classes));
  CHECK(dropped + double(std::count(first.begin(), first.end(), 1)) == many);
  CHECK(dropped / many == doctest::Approx(0.1).epsilon(0.15));
  CHECK(seen(0) == first);
  CHECK(seen(1) != first);
  objective.label_dropout = 0;
  CHECK(seen(0) == labels);
  objective.label_dropout = 1;
  CHECK(seen(0) == std::vector<int>(many, Net::classes));
}

TEST_CASE("a batch in parts is the batch") {
  Fixture f;
  const FlowObjective<Space::v, Space::x> objective;
  const Values x = data(8);
  const std::vector<int> labels{0, 1, 2, 0, 1, 2, 0, 1};
  const auto loss = [&](Index first, Index count) {
    auto ctx = f.record(2, first);
    return host(ctx, objective.loss(ctx, Net{}, ops::input<X>(ctx, std::span<const double>(x).subspan(std::size_t(4 * first), std::size_t(4 * count))),
                                    std::span(labels).subspan(std::size_t(first), std::size_t(count))))[0];
  };
  CHECK(loss(0, 8) == doctest::Approx((loss(0, 2) * 2 + loss(2, 3) * 3 + loss(5, 3) * 3) / 8).epsilon(1e-12));
}

TEST_CASE("labels that do not fit are errors with their numbers") {
  Fixture f;
  const FlowObjective<Space::x> objective;
  auto ctx = f.record();
  const Values numbers = data(2);
  const auto x = ops::input<X>(ctx, std::span<const double>(numbers));
  const auto loss = [&](std::vector<int> labels) { objective.loss(ctx, Net{}, x, labels); };
  check_error([&] { loss({0, 3}); }, "label-range", {"label 3", "sample 1", "0..2"});  // the null class is not for data
  check_error([&] { loss({-1, 0}); }, "label-range", {"label -1", "sample 0"});
  check_error([&] { loss({0}); }, "batch", {"1 labels", "batch of 2"});
  check_error([&] { loss({0, 1, 2}); }, "batch", {"3 labels", "batch of 2"});
}

TEST_CASE("objective options that mean nothing are errors with their numbers") {
  const double nan = std::nan("");
  const auto refused = [](const FlowObjective<Space::x>& objective, std::string_view words) {
    check_error([&] { objective.validate(); }, "objective-options", {words});
  };
  refused({.noise_scale = 0}, "noise_scale must be finite and positive, found 0");
  refused({.noise_scale = nan}, "noise_scale must be finite and positive, found nan");
  refused({.t_epsilon = 0}, "t_epsilon must be in (0, 1], found 0");
  refused({.t_epsilon = nan}, "t_epsilon must be in (0, 1], found nan");
  refused({.label_dropout = 1.5}, "label_dropout must be in [0, 1], found 1.5");
  refused({.auxiliary_weight = -1}, "auxiliary_weight must be finite and not negative, found -1");
  FlowObjective<Space::x>{}.validate();
}

TEST_CASE("velocity and noise need a path as wide as the token, clean data does not") {
  static_assert(FlowObjective<Space::x>::fits<Narrow> && !FlowObjective<Space::v>::fits<Narrow> && !FlowObjective<Space::eps, Space::x>::fits<Narrow>);
  static_assert(FlowObjective<Space::v>::fits<Net> && FlowObjective<Space::eps>::fits<Net>);
  CHECK(true);
}
