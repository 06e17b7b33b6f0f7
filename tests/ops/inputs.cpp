// How numbers enter and leave: input, input_from, output, normal, dropout's coin; and the errors of wrong sizes and labels.
#include "check_error.hpp"
#include "ops/harness.hpp"

using namespace ops_test;

namespace {

struct Fixture {
  Tested device;
  Workspace<Tested> workspace{device};
  Run<Tested> run{workspace, nullptr};
  Tape<Tested> tape{workspace};

  Array<Tested, float> array(const std::vector<float>& values) {
    Array<Tested, float> out(device, Index(values.size()));
    out.upload(values);
    return out;
  }
  std::vector<float> host_of(const float* data, Index n) {
    std::vector<float> out(static_cast<std::size_t>(n));
    Kernels<Tested>::download(device, out.data(), data, n);
    return out;
  }
};

}  // namespace

TEST_CASE("input and output copy, and count samples") {
  Fixture f;
  const std::vector<double> numbers{1, 2, 3, 4, 5, 6};
  const auto x = ops::input<Shape<dynamic, 3>>(f.run, std::span<const double>(numbers));
  CHECK(x.batch == 2);
  CHECK(host(f.run, x) == numbers);
  CHECK(host(f.run, ops::input<Shape<dynamic, 3>>(f.run, numbers)) == numbers);
  CHECK(ops::input<Shape<2, 3>>(f.run, std::span<const double>(numbers)).batch == 1);
  check_error([&] { ops::input<Shape<dynamic, 4>>(f.run, std::span<const double>(numbers)); }, "shape", {"6 elements", "samples of 4"});
  check_error([&] { ops::input<Shape<3>>(f.run, std::span<const double>(numbers)); }, "shape", {"6 elements", "samples of 3"});
  check_error([&] { ops::input<Shape<dynamic, 4>>(f.run, std::span<const double>()); }, "batch", {"found 0"});
  check_error([&] { ops::input_from<Shape<dynamic, 4>>(f.run, -1, [](float*) {}); }, "batch", {"found -1"});
  std::vector<float> small(5);
  check_error([&] { ops::output(f.run, x, std::span(small)); }, "shape", {"6 elements", "5"});
}

TEST_CASE("borrowed memory is a value without a copy, and is left to its owner") {
  Fixture f;
  using S = Shape<dynamic, 3>;
  auto numbers = f.array({1, 2, 3, 4, 5, 6});
  const Index before = f.workspace.allocations();
  {
    const auto x = ops::borrow(f.run, View<const float, S, Tested>{numbers.data(), 2});
    CHECK(f.run.data(x) == numbers.data());
    numbers.upload(std::vector<float>{60}, 5);  // seen by who holds the value
    CHECK(host(f.run, x) == Values{1, 2, 3, 4, 5, 60});
    const auto part = ops::borrow(f.run, View<float, S, Tested>{numbers.data(), 2}.slice(1, 2));
    CHECK(host(f.run, part) == Values{4, 5, 60});
  }
  CHECK(f.workspace.allocations() == before);
  CHECK(f.workspace.pool().live_bytes() == 0);
  f.run.make<S>(2);  // the owner's memory was not put into the pool
  CHECK(f.host_of(numbers.data(), 6) == std::vector<float>{1, 2, 3, 4, 5, 60});

  Record<Tested> record(f.tape, nullptr, nullptr);
  auto x = ops::borrow(record, View<const float, S, Tested>{numbers.data(), 1});
  record.require_gradient(x);
  const std::vector<double> one{1};
  record.backward(ops::weighted_mse(record, x, ops::scale(record, 0, x), std::span<const double>(one)));
  const auto gradient = f.host_of(record.gradient_of(x), 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(gradient[i] == doctest::Approx(2.0 / 3 * double(i + 1)));
  check_error([&] { ops::borrow(f.run, View<const float, S, Tested>{numbers.data(), 0}); }, "batch", {"found 0"});
  check_error([&] { ops::borrow(f.run, View<const float, S, Tested>{nullptr, 2}); }, "batch", {"null"});
  check_error([&] { ops::borrow(f.run, View<const float, Shape<3>, Tested>{numbers.data(), 2}); }, "batch", {"no batch, found 2"});
}

TEST_CASE("noise is a function of the seed, the stream, the step and the sample's number") {
  Fixture f;
  const Random random{9, Stream::noise, 4};
  const auto all = host(f.run, ops::normal<Shape<dynamic, 3, 5>>(f.run, 7, random, 2, 2.0));
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == doctest::Approx(2.0 * random.normal(i + 30)).epsilon(1e-6));  // GPUs have their own logarithm
  const auto later = host(f.run, ops::normal<Shape<dynamic, 3, 5>>(f.run, 3, random, 6, 2.0));
  CHECK(std::equal(later.begin(), later.end(), all.begin() + 60));
  CHECK(host(f.run, ops::normal<Shape<dynamic, 3, 5>>(f.run, 1, {9, Stream::noise, 5}))[0] != doctest::Approx(random.normal(0)));
  check_error([&] { ops::normal<Shape<dynamic, 3>>(f.run, 0, random); }, "batch", {"found 0"});

  const auto many = host(f.run, ops::normal<Shape<dynamic, 1000>>(f.run, 100, random));
  double mean = 0, square = 0;
  for (const double x : many) mean += x / 1e5, square += x * x / 1e5;
  CHECK(std::abs(mean) < 0.015);
  CHECK(square == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("dropout: rate, scale, sites, and any split of the batch") {
  Fixture f;
  const std::vector<double> ones(8 * 1000, 1.0);
  const auto draw = [&](Index first, Index count, std::uint64_t site, std::uint32_t step, double rate = 0.25) {
    Record<Tested> ctx(f.tape, nullptr, nullptr, {3, step, first});
    return host(ctx, ops::dropout(ctx, ops::input<Shape<dynamic, 1000>>(ctx, std::span<const double>(ones).first(std::size_t(count) * 1000)), rate, site));
  };
  const Values whole = draw(0, 8, 1, 0);
  double kept = 0;
  for (const double x : whole) {
    CHECK((x == 0 || x == doctest::Approx(1 / 0.75)));
    kept += x != 0;
  }
  CHECK(kept / 8000 == doctest::Approx(0.75).epsilon(0.03));
  const Values part = draw(3, 2, 1, 0);
  CHECK(std::equal(part.begin(), part.end(), whole.begin() + 3000));
  CHECK(draw(0, 8, 1, 0) == whole);
  CHECK(draw(0, 8, 2, 0) != whole);
  CHECK(draw(0, 8, 1, 1) != whole);
  check_error([&] { draw(0, 1, 1, 0, 1.0); }, "dropout-rate", {"found 1"});
  check_error([&] { draw(0, 1, 1, 0, -0.5); }, "dropout-rate", {"found -0.5"});
  CHECK(host(f.run, ops::dropout(f.run, ops::input<Shape<dynamic, 1000>>(f.run, std::span<const double>(ones)), 0.25, 1)) == ones);
}

TEST_CASE("labels outside of their range are named") {
  Fixture f;
  Param<Shape<5, 8>> table{0};
  const std::vector<float> zeros(40);
  const auto weights = f.array(zeros);
  Run<Tested> ctx(f.workspace, weights);
  const std::vector<int> high{0, 5}, low{-1, 0};
  check_error([&] { ops::embedding(ctx, table, std::span<const int>(high)); }, "label-range", {"label 5", "sample 1", "0..4"});
  check_error([&] { ops::embedding(ctx, table, std::span<const int>(low)); }, "label-range", {"label -1", "sample 0", "0..4"});
  const auto logits = ops::input<Shape<dynamic, 3>>(ctx, std::span<const float>(zeros).first(6));
  check_error([&] { ops::cross_entropy(ctx, logits, high); }, "label-range", {"label 5", "0..2"});
  check_error([&] { ops::cross_entropy(ctx, logits, std::span(high).first(1)); }, "batch", {"1 labels", "2 rows"});
}

TEST_CASE("operands of different batches are named") {
  Fixture f;
  const std::vector<float> numbers(12);
  const auto x = ops::input<Shape<dynamic, 2>>(f.run, std::span<const float>(numbers)), y = ops::input<Shape<dynamic, 2>>(f.run, std::span<const float>(numbers).first(8));
  const std::vector<double> weights(5, 1.0);
  check_error([&] { ops::add(f.run, x, y); }, "batch", {"6", "4"});
  check_error([&] { ops::multiply(f.run, x, y); }, "batch", {"6", "4"});
  check_error([&] { ops::weighted_mse(f.run, x, y, weights); }, "batch", {"6", "4", "5"});
  check_error([&] { ops::combine_samples(f.run, weights, x, weights, x); }, "batch", {"5 coefficients", "6"});
  check_error([&] { ops::reshape<Shape<dynamic, 5>>(f.run, x); }, "reshape", {"12 elements", "5"});

  const auto a = ops::input<Shape<dynamic, 2, 2>>(f.run, std::span<const float>(numbers)), b = ops::input<Shape<dynamic, 2, 2>>(f.run, std::span<const float>(numbers).first(8));
  check_error([&] { ops::concat<1>(f.run, a, b); }, "batch", {"3", "2"});
  check_error([&] { ops::matmul(f.run, a, b); }, "batch", {"3", "2"});
  check_error([&] { ops::attention<1>(f.run, a, b, b); }, "batch", {"3", "2"});
  const auto m = ops::input<Shape<dynamic, 4>>(f.run, std::span<const float>(numbers).first(8));
  check_error([&] { ops::gated_residual<0>(f.run, a, a, m); }, "batch", {"3", "2"});
  check_error([&] { ops::modulated_norm<NormKind::rms, 0, 1>(f.run, a, None{}, None{}, m, 1e-6); }, "batch", {"3", "2"});
}
