// The nine pairs of prediction and loss space (JiT, arXiv 2511.13720, table 1), and the laws of times.
#include "flow/support.hpp"

#include <algorithm>

using namespace flow_test;

namespace {

// x, e and the path between them at time t.
struct Point {
  double x, e, t;
  double z() const { return t * x + (1 - t) * e; }
  double in(Space space) const { return space == Space::x ? x : space == Space::eps ? e : x - e; }
};
std::vector<Point> points() {
  std::vector<Point> out;
  const Random random{1, Stream::user, 0};
  for (std::uint64_t i = 0; i < 50; ++i) out.push_back({random.normal(3 * i), random.normal(3 * i + 1), 0.06 + 0.88 * random.uniform(3 * i + 2)});
  return out;
}
double carried(Conversion c, double output, double z) { return c.output * output + c.z * z; }

}  // namespace

TEST_CASE("a true prediction becomes the truth of every other space") {
  for (const Point& p : points())
    for (const Space from : spaces)
      for (const Space to : spaces) {
        CHECK(carried(convert(from, to, p.t), p.in(from), p.z()) == doctest::Approx(p.in(to)).epsilon(1e-10));
        CHECK(truth(to).x * p.x + truth(to).e * p.e == p.in(to));
      }
}

TEST_CASE("conversions are those of table 1, and undo each other") {
  for (const Point& p : points()) {
    const double t = p.t, z = p.z(), o = p.x + 0.3;
    const auto at = [&](Space from, Space to) { return carried(convert(from, to, t), o, z); };
    CHECK(at(Space::eps, Space::x) == doctest::Approx((z - (1 - t) * o) / t));
    CHECK(at(Space::v, Space::x) == doctest::Approx(z + (1 - t) * o));
    CHECK(at(Space::x, Space::eps) == doctest::Approx((z - t * o) / (1 - t)));
    CHECK(at(Space::v, Space::eps) == doctest::Approx(z - t * o));
    CHECK(at(Space::x, Space::v) == doctest::Approx((o - z) / (1 - t)));
    CHECK(at(Space::eps, Space::v) == doctest::Approx((z - o) / t));
    for (const Space from : spaces)
      for (const Space to : spaces) {
        CHECK(carried(convert(to, from, t), at(from, to), z) == doctest::Approx(o).epsilon(1e-10));
        for (const Space by : spaces) CHECK(carried(convert(by, to, t), at(from, by), z) == doctest::Approx(at(from, to)).epsilon(1e-10));
      }
  }
}

TEST_CASE("the weights of the nine losses") {
  for (const double t : {0.06, 0.3, 0.5, 0.8, 0.94}) {
    const double s = 1 - t;
    const double expected[3][3] = {// by loss space, then by prediction: x, eps, v
                                   {1, s * s / (t * t), s * s},
                                   {t * t / (s * s), 1, t * t},
                                   {1 / (s * s), 1 / (t * t), 1}};
    for (int loss = 0; loss < 3; ++loss)
      for (int prediction = 0; prediction < 3; ++prediction)
        CHECK(loss_weight(spaces[prediction], spaces[loss], t) == doctest::Approx(expected[loss][prediction]).epsilon(1e-12));
  }
}

TEST_CASE("divisors are clamped to 0.05, nothing else is") {
  // Near data: 1 - t is 0.02, its clamp 0.05.
  CHECK(convert(Space::x, Space::v, 0.98).output == doctest::Approx(20));
  CHECK(convert(Space::x, Space::v, 0.98).z == doctest::Approx(-20));
  CHECK(convert(Space::x, Space::eps, 0.98).output == doctest::Approx(-0.98 / 0.05));
  CHECK(convert(Space::x, Space::v, 1).output == doctest::Approx(20));
  CHECK(convert(Space::eps, Space::v, 0.98).output == doctest::Approx(-1 / 0.98));
  CHECK(convert(Space::v, Space::x, 0.98).output == doctest::Approx(0.02));
  CHECK(loss_weight(Space::x, Space::v, 0.98) == doctest::Approx(400));
  CHECK(loss_weight(Space::x, Space::v, 1) == doctest::Approx(400));
  // Near noise: t is clamped.
  CHECK(convert(Space::eps, Space::v, 0).output == doctest::Approx(-20));
  CHECK(convert(Space::eps, Space::x, 0.01).output == doctest::Approx(-0.99 / 0.05));
  CHECK(convert(Space::eps, Space::x, 0.01).z == doctest::Approx(20));
  CHECK(convert(Space::x, Space::v, 0.01).output == doctest::Approx(1 / 0.99));
  // Another clamp.
  CHECK(convert(Space::x, Space::v, 0.98, 0.01).output == doctest::Approx(50));
  CHECK(loss_weight(Space::x, Space::v, 0.999, 0.01) == doctest::Approx(1e4));
  // The diagonal is the identity at any time.
  for (const Space space : spaces)
    for (const double t : {0.0, 0.5, 1.0}) {
      CHECK(convert(space, space, t).output == 1);
      CHECK(convert(space, space, t).z == 0);
      CHECK(loss_weight(space, space, t) == 1);
    }
}

TEST_CASE("laws of times stay in [0, 1] and have their quantiles") {
  static_assert(TimeLaw<UniformTime> && TimeLaw<LogitNormal<>> && !TimeLaw<int>);
  using Wide = LogitNormal<std::ratio<0>, std::ratio<2>>;
  const Random random{4, Stream::time, 1};
  const auto draw = [&](auto law) {
    Values t(20000);
    for (std::size_t i = 0; i < t.size(); ++i) t[i] = decltype(law)::sample(random, i);
    std::sort(t.begin(), t.end());
    CHECK(t.front() > 0);
    CHECK(t.back() < 1);
    return t;
  };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  struct Quantile { std::size_t at; double normal; };
  for (const auto& [at, normal] : {Quantile{1000, -1.644854}, {5000, -0.674490}, {10000, 0}, {15000, 0.674490}, {19000, 1.644854}}) {
    CHECK(draw(UniformTime{})[at] == doctest::Approx(double(at) / 20000).epsilon(0.05));
    CHECK(std::tan(0.5 * 3.14159265358979 * double(at) / 20000) == doctest::Approx(draw(CosineTime{})[at] / (1 - draw(CosineTime{})[at])).epsilon(0.06));
    CHECK(draw(LogitNormal<>{})[at] == doctest::Approx(sigmoid(-0.8 + 0.8 * normal)).epsilon(0.03));
    CHECK(draw(Wide{})[at] == doctest::Approx(sigmoid(2 * normal)).epsilon(0.1));
    CHECK(draw(TruncatedLogitNormal<>{})[at] == doctest::Approx(sigmoid(normal)).epsilon(0.03));  // next to nothing is cut off
    const auto between = draw(UniformBetween<std::ratio<1, 4>, std::ratio<3, 4>>{});
    CHECK(between.front() >= 0.25);
    CHECK(between.back() <= 0.75);
    CHECK(between[at] == doctest::Approx(0.25 + 0.5 * double(at) / 20000).epsilon(0.03));
    // Shifted: the quantiles of the noise level, shifted.
    using Shift = ShiftBy<std::ratio<7>>;
    const double noise = 1 - draw(UniformTime{})[at];
    CHECK(draw(Shifted<UniformTime, Shift>{})[at] == doctest::Approx(1 - 7 * noise / (1 + 6 * noise)).epsilon(1e-9));
  }
  // What a checkpoint remembers of a shifted law.
  std::vector<std::string> options;
  Shifted<TruncatedLogitNormal<>, ShiftBy<std::ratio<7>>>::for_each_option([&](const std::string& name, const auto& value) { options.push_back(text(name, " ", value)); });
  // Nothing is cut but the noisiest thousandth of times.
  CHECK(options == std::vector<std::string>{"objective.times.law truncated logit-normal", "objective.times.mu 0", "objective.times.sigma 1", "objective.times.low 0.001", "objective.times.high 1", "objective.times.alpha 7"});
  // Cut where it matters: the rest keeps its proportions.
  const auto cut = draw(TruncatedLogitNormal<std::ratio<0>, std::ratio<1>, std::ratio<1, 2>, std::ratio<9, 10>>{});
  CHECK(cut.front() >= 0.5);
  CHECK(cut.back() <= 0.9);
  const double share = 0.5 * std::erfc(-std::log(9.0) / std::sqrt(2.0)) - 0.5;  // between
  const double median = cut[10000], below = 0.5 * std::erfc(-std::log(median / (1 - median)) / std::sqrt(2.0)) - 0.5;
  CHECK(below == doctest::Approx(share / 2).epsilon(0.02));
}
