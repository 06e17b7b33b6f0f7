// Where gradients flow, and where they do not.
#include "autodiff/support.hpp"
#include "check_error.hpp"

#include <sfumato/ops/window.hpp>

#include <type_traits>
#include <utility>

using namespace autodiff_test;

namespace {

using Map = layer::Linear<8, 8>;
using X = Shape<dynamic, 4, 8>;

// A trunk with a head.
struct Two {
  Map trunk, head;
  static constexpr void parameters(auto& self, auto&& visit) { visit("trunk", self.trunk), visit("head", self.head); }
};
// A frozen table in front of a layer.
struct Positioned {
  Param<Shape<1, 4, 8>, init::Normal02, true> position;
  Map map;
  static constexpr void parameters(auto& self, auto&& visit) { visit("position", self.position), visit("map", self.map); }
};
// Of a convolution.
struct Convolved {
  Param<Shape<3, 8, 3, 3>> weight;
  Param<Shape<3>> bias;
  static constexpr void parameters(auto& self, auto&& visit) { visit("weight", self.weight), visit("bias", self.bias); }
};
// Two layers.
struct Chain {
  Map a, b;
  static constexpr void parameters(auto& self, auto&& visit) { visit("a", self.a), visit("b", self.b); }
};

Numbers sum_of(const Numbers& a, const Numbers& b) {
  Numbers c;
  for (std::size_t i = 0; i < a.size(); ++i) c.push_back(a[i] + b[i]);
  return c;
}

}  // namespace

TEST_CASE("a value that is used twice gets both gradients") {
  Training<Map> t;
  Ctx ctx = t.context();
  auto x = input<Shape<dynamic, 8>>(ctx, 2, 1);
  ctx.require_gradient(x);
  const auto square = ops::multiply(ctx, x, x);  // y = x^2 + 3 x^2 + x
  const auto y = ops::add(ctx, ops::combine(ctx, 1, square, 3, square), x);
  const auto loss = ops::sum<1>(ctx, ops::reshape<Shape<dynamic, 16>>(ctx, y));
  ctx.backward(loss);
  const Numbers at = host(ctx, x), d = gradient(ctx, x);
  for (std::size_t i = 0; i < d.size(); ++i) CHECK(d[i] == doctest::Approx(8 * at[i] + 1));
}

TEST_CASE("one layer in two places gathers the gradients of both") {
  Training<Map> t;
  const auto run = [&](bool first, bool second) {
    t.zero();
    Ctx ctx = t.context();
    const Map& map = t.weights.model();
    const auto a = loss_of(ctx, map(ctx, input<X>(ctx, 2, 1))), b = loss_of(ctx, map(ctx, input<X>(ctx, 2, 2)));
    ctx.backward(ops::combine(ctx, first, a, second, b));
    return t.parameter_gradients();
  };
  const Numbers both = run(true, true), sum = sum_of(run(true, false), run(false, true));
  for (std::size_t i = 0; i < both.size(); ++i) CHECK(both[i] == doctest::Approx(sum[i]).epsilon(1e-5));
}

TEST_CASE("stop_gradient: the same data, and nothing flows back") {
  Training<Map> t;
  Ctx ctx = t.context();
  auto x = input<X>(ctx, 2, 1);
  ctx.require_gradient(x);
  const auto stopped = ops::stop_gradient(ctx, x);
  CHECK(ctx.data(stopped) == ctx.data(x));
  CHECK(!ctx.flows(stopped));
  CHECK(ctx.flows(x));
  ctx.backward(ops::sum<1>(ctx, ops::reshape<Shape<dynamic, 64>>(ctx, ops::multiply(ctx, x, stopped))));
  CHECK(gradient(ctx, x) == host(ctx, x));  // not twice

  // A detached head: it learns, what it stands on does not.
  t.zero();
  Training<Two> two;
  Ctx c = two.context();
  auto in = input<X>(c, 2, 1);
  c.require_gradient(in);
  const Two& model = two.weights.model();
  c.backward(loss_of(c, model.head(c, ops::stop_gradient(c, model.trunk(c, in)))));
  const Numbers d = two.parameter_gradients();
  const auto head = d.begin() + model.head.weight.offset;
  CHECK(all_zero({d.begin(), head}));
  CHECK(!all_zero({head, d.end()}));
  CHECK(gradient(c, in).empty());
}

TEST_CASE("frozen weights: gradients pass through to the input, with the same bits") {
  Training<Trunk<>> t;
  const Step trained = step(t);
  t.zero();
  Ctx ctx(t.tape, t.weights.data(), nullptr, {5, 0, 0});
  auto x = input<Shape<dynamic, 4, 16>>(ctx, 2, 10);
  ctx.require_gradient(x);
  const auto y = t.weights.model()(ctx, x, input<Shape<dynamic, 16>>(ctx, 2, 11), input<Shape<dynamic, 4, 16>>(ctx, 2, 12));
  ctx.backward(loss_of(ctx, y));
  CHECK(gradient(ctx, x) == trained.d_x);
  CHECK(all_zero(t.parameter_gradients()));

  // Nothing asks for a gradient: nothing is recorded.
  const auto z = t.weights.model()(ctx, ops::stop_gradient(ctx, x), input<Shape<dynamic, 16>>(ctx, 2, 11), input<Shape<dynamic, 4, 16>>(ctx, 2, 12));
  CHECK(t.tape.size() == 0);
  CHECK(host(ctx, z) == trained.value);
}

TEST_CASE("a parameter that is frozen in its type gets no gradient") {
  Training<Positioned> t;
  Ctx ctx = t.context();
  const Positioned& m = t.weights.model();
  ctx.backward(loss_of(ctx, m.map(ctx, ops::add_parameter(ctx, input<X>(ctx, 2, 1), m.position))));
  const Numbers d = t.parameter_gradients();
  CHECK(all_zero({d.begin(), d.begin() + m.map.weight.offset}));
  CHECK(!all_zero({d.begin() + m.map.weight.offset, d.end()}));
}

TEST_CASE("branches that no loss reaches cost nothing and get nothing") {
  Training<Map> t;
  Ctx ctx = t.context();
  auto x = input<X>(ctx, 2, 1), unused = input<X>(ctx, 2, 2);
  ctx.require_gradient(x);
  ctx.require_gradient(unused);
  const Map& map = t.weights.model();
  { const auto side = map(ctx, unused); }
  ctx.backward(loss_of(ctx, ops::silu(ctx, x)));
  CHECK(!gradient(ctx, x).empty());
  CHECK(gradient(ctx, unused).empty());
  CHECK(all_zero(t.parameter_gradients()));
  CHECK(t.tape.size() == 0);
}

TEST_CASE("the seed of backward scales, and gradients of parameters add up over calls") {
  Training<Map> t;
  const auto once = [&](double seed) {
    Ctx ctx = t.context();
    ctx.backward(loss_of(ctx, t.weights.model()(ctx, input<X>(ctx, 2, 1))), seed);
    return t.parameter_gradients();
  };
  const Numbers whole = once(1);
  t.zero();
  once(0.5);
  const Numbers halves = once(0.5);
  for (std::size_t i = 0; i < whole.size(); ++i) CHECK(halves[i] == doctest::Approx(whole[i]).epsilon(1e-6));
}

TEST_CASE("backward starts from one element") {
  Training<Map> t;
  Ctx ctx = t.context();
  auto x = input<Shape<dynamic, 4>>(ctx, 3, 1);
  ctx.require_gradient(x);
  const auto sums = ops::sum<1>(ctx, x);
  CHECK_THROWS_AS(ctx.backward(sums), Error);
  t.tape.clear();
}

TEST_CASE("recomputation gives the same bits as keeping, dropout and all") {
  Training<Trunk<>> plain;
  Training<Trunk<Recompute>> lean;
  for (const std::uint32_t number : {0u, 1u}) {
    const Step expected = step(plain, number), found = step(lean, number);
    CHECK(found.value == expected.value);
    CHECK(found.d_x == expected.d_x);
    CHECK(found.d_condition == expected.d_condition);
    CHECK(found.d_context == expected.d_context);
    CHECK(found.d_parameters == expected.d_parameters);
    CHECK(!all_zero(found.d_context));
  }
  CHECK(step(plain, 0) != step(plain, 1));  // dropout draws by step
  CHECK(lean.workspace.pool().peak_bytes() < plain.workspace.pool().peak_bytes());
}

TEST_CASE("recomputation: nested, of several inputs, of inputs without gradient, of a value used elsewhere") {
  Training<Map> t;
  const Map& map = t.weights.model();
  const auto f = [&map](auto& c, const auto& a, const auto& b) { return ops::multiply(c, map(c, a), ops::silu(c, b)); };
  const auto nested = [&map, f](auto& c, const auto& a, const auto& b) {
    return ops::add(c, ops::recompute(c, f, map(c, a), b), a);
  };
  const auto unnested = [&map, f](auto& c, const auto& a, const auto& b) { return ops::add(c, f(c, map(c, a), b), a); };
  const auto run = [&](bool recomputes, bool a_flows) {
    t.zero();
    Ctx ctx = t.context();
    auto a = input<X>(ctx, 2, 1), b = input<X>(ctx, 2, 2);
    if (a_flows) ctx.require_gradient(a);
    ctx.require_gradient(b);
    const auto y = recomputes ? ops::recompute(ctx, nested, a, b) : unnested(ctx, a, b);
    ctx.backward(loss_of(ctx, ops::add(ctx, y, b)));
    Step out;
    out.value = host(ctx, y);
    out.d_x = gradient(ctx, a), out.d_condition = gradient(ctx, b), out.d_parameters = t.parameter_gradients();
    CHECK(out.d_x.empty() == !a_flows);
    CHECK(t.tape.size() == 0);
    return out;
  };
  CHECK(run(true, true).value == run(false, true).value);
  const Step found = run(true, true), expected = run(false, true);
  for (std::size_t i = 0; i < found.d_x.size(); ++i) {  // sums of three in another order
    CHECK(found.d_x[i] == doctest::Approx(expected.d_x[i]).epsilon(1e-5));
    CHECK(found.d_condition[i] == doctest::Approx(expected.d_condition[i]).epsilon(1e-5));
  }
  for (std::size_t i = 0; i < found.d_parameters.size(); ++i) CHECK(found.d_parameters[i] == doctest::Approx(expected.d_parameters[i]).epsilon(1e-5));
  CHECK(run(true, false).d_condition == found.d_condition);
  CHECK(run(true, false).d_parameters == found.d_parameters);
}

TEST_CASE("two models on one tape: each has its own weights and gradients") {
  Training<Map> t;
  Weights<Map, Cpu> other(t.device, 7);
  Array<Cpu, float> other_gradients(t.device, other.size());
  const auto run = [&](bool train_other, bool recompute) {
    t.zero();
    Kernels<Cpu>::fill(t.device, other_gradients.size(), 0.0, other_gradients.data());
    Ctx student = t.context();
    Ctx teacher = student.with(other.data(), train_other ? other_gradients.data() : nullptr);
    const auto x = input<X>(student, 2, 1);
    const auto call = [recompute](Ctx& ctx, const Map& map, const auto& in) {
      return recompute ? ops::recompute(ctx, [&map](auto& c, const auto& v) { return map(c, v); }, in) : map(ctx, in);
    };
    const auto mid = call(student, t.weights.model(), x);
    const auto y = call(teacher, other.model(), mid), z = call(student, t.weights.model(), y);  // student, teacher, student
    student.backward(loss_of(student, z));
    Numbers d(static_cast<std::size_t>(other_gradients.size()));
    other_gradients.download(d);
    return std::pair{t.parameter_gradients(), d};
  };
  const auto [student, none] = run(false, false);
  CHECK(!all_zero(student));
  CHECK(all_zero(none));
  const auto [again, teacher] = run(true, false);
  CHECK(again == student);
  CHECK(!all_zero(teacher));
  CHECK(run(true, true) == std::pair{student, teacher});

  // The same chain with the teacher's weights as a second layer of one model.
  Training<Chain> chain;
  chain.weights.values().upload({t.weights.data(), std::size_t(t.weights.size())}, 0);
  chain.weights.values().upload({other.data(), std::size_t(other.size())}, t.weights.size());
  Ctx ctx = chain.context();
  const Chain& m = chain.weights.model();
  ctx.backward(loss_of(ctx, m.a(ctx, m.b(ctx, m.a(ctx, input<X>(ctx, 2, 1))))));
  Numbers both = student;
  both.insert(both.end(), teacher.begin(), teacher.end());
  CHECK(chain.parameter_gradients() == both);
}

TEST_CASE("frozen: a model with weights of its own, to which nothing flows; in inference the same call") {
  Training<Map> t;
  Weights<Map, Cpu> other(t.device, 7);
  const auto through = [&](auto& ctx, const auto& x) {
    auto frozen = ctx.frozen(other.values());
    return other.model()(frozen, x);
  };
  Ctx ctx = t.context();
  auto x = input<X>(ctx, 2, 1);
  ctx.require_gradient(x);
  const auto y = through(ctx, t.weights.model()(ctx, x));
  const Numbers value = host(ctx, y);
  ctx.backward(loss_of(ctx, y));
  const Numbers d_x = gradient(ctx, x), d = t.parameter_gradients();
  CHECK(!all_zero(d));  // of the model in front, whose layout is the same: what flowed to the frozen one would be in it
  Array<Cpu, float> not_asked_for(t.device, other.size());
  t.zero();
  Ctx again = t.context(), teacher = again.with(other.values(), not_asked_for);
  auto leaf = input<X>(again, 2, 1);
  again.require_gradient(leaf);
  again.backward(loss_of(again, other.model()(teacher, t.weights.model()(again, leaf))));
  CHECK(gradient(again, leaf) == d_x);
  CHECK(t.parameter_gradients() == d);

  Run<Cpu> run(t.workspace, t.weights.values());
  CHECK(host(run, through(run, t.weights.model()(run, input<X>(run, 2, 1)))) == value);
}

TEST_CASE("value_and_gradient: what backward gives, at once, and the tape is as long as it was") {
  Training<Two> t;
  Ctx ctx = t.context(), frozen = ctx.frozen(t.weights.values());
  const Two& model = t.weights.model();
  const auto f = [&](Ctx& c, const auto& h) { return loss_of(c, ops::silu(c, model.head(c, h))); };
  const auto numbers_of = [&](const auto& one, const auto& two) { return std::pair{host(ctx, one), host(ctx, two)}; };

  auto h = input<X>(ctx, 2, 1);
  ctx.require_gradient(h);
  const auto loss = f(frozen, h);
  ctx.backward(loss);
  const std::pair expected{host(ctx, loss), gradient(ctx, h)};

  auto x = input<X>(ctx, 2, 2);
  ctx.require_gradient(x);
  const auto mid = model.trunk(ctx, x);  // what stands on the tape stays there, and gets nothing
  const std::size_t length = t.tape.size();
  CHECK(length > 0);
  const auto found = ops::value_and_gradient(frozen, f, input<X>(ctx, 2, 1));
  CHECK(t.tape.size() == length);
  CHECK(numbers_of(found.value, found.gradient) == expected);
  const auto at_mid = ops::value_and_gradient(frozen, f, mid);
  CHECK(t.tape.size() == length);
  CHECK(!ctx.flows(at_mid.value));
  CHECK(!ctx.flows(at_mid.gradient));
  CHECK(gradient(ctx, x).empty());
  CHECK(all_zero(t.parameter_gradients()));

  // Of a function that does not look at its argument.
  const auto constant = ops::value_and_gradient(frozen, [&](Ctx& c, const auto& v) { return f(c, ops::stop_gradient(c, v)); }, input<X>(ctx, 2, 1));
  CHECK(host(ctx, constant.value) == expected.first);
  CHECK(all_zero(host(ctx, constant.gradient)));
  CHECK(t.tape.size() == length);
  t.tape.clear();
}

TEST_CASE("with_gradient: a value whose gradient is known, as if it were recorded") {
  Training<Two> t;
  const Two& model = t.weights.model();
  const auto run = [&](bool recorded) {
    t.zero();
    Ctx ctx = t.context(), frozen = ctx.frozen(t.weights.values());
    const auto f = [&](Ctx& c, const auto& h) { return loss_of(c, ops::silu(c, model.head(c, h))); };
    auto x = input<X>(ctx, 2, 1);
    ctx.require_gradient(x);
    const auto mid = model.trunk(ctx, x);
    const auto put_together = [&] {
      const auto known = ops::value_and_gradient(frozen, f, mid);
      return ops::with_gradient(ctx, known.value, mid, known.gradient);
    };
    const auto loss = recorded ? f(frozen, mid) : put_together();
    Step out;
    out.value = host(ctx, loss);
    ctx.backward(ops::combine(ctx, 3, loss, 0.5, loss_of(ctx, mid)));  // beside another that uses the same value
    out.d_x = gradient(ctx, x), out.d_parameters = t.parameter_gradients();
    return out;
  };
  const Step expected = run(true), found = run(false);
  CHECK(found.value == expected.value);
  CHECK(!all_zero(found.d_x));
  for (std::size_t i = 0; i < expected.d_x.size(); ++i) CHECK(found.d_x[i] == doctest::Approx(expected.d_x[i]).epsilon(1e-5));
  for (std::size_t i = 0; i < expected.d_parameters.size(); ++i) CHECK(found.d_parameters[i] == doctest::Approx(expected.d_parameters[i]).epsilon(1e-5));
  CHECK(all_zero({found.d_parameters.begin() + model.head.weight.offset, found.d_parameters.end()}));

  // Where nothing flows to x, nothing is recorded.
  Ctx ctx = t.context();
  const auto x = input<X>(ctx, 2, 1);
  const auto square = [](Ctx& c, const auto& v) { return ops::sum_all(c, ops::multiply(c, v, v)); };
  const auto known = ops::value_and_gradient(ctx, square, x);
  CHECK(!ctx.flows(ops::with_gradient(ctx, known.value, x, known.gradient)));
  CHECK(t.tape.size() == 0);
  check_error([&] { ops::with_gradient(ctx, known.value, input<X>(ctx, 3, 1), known.gradient); }, "batch", {"3", "2"});
}

TEST_CASE("with_gradient in bf16: the value is wide, its gradient is not") {
  Cpu device{1};
  Workspace<Cpu> workspace{device};
  Tape<Cpu, bf16> tape{workspace};
  Record<Cpu, bf16> ctx(tape, nullptr, nullptr);
  auto x = input<X>(ctx, 2, 1);
  ctx.require_gradient(x);
  const auto known = ops::value_and_gradient(ctx, [](auto& c, const auto& v) { return ops::sum_all(c, ops::multiply(c, v, v)); }, x);
  const auto y = ops::with_gradient(ctx, known.value, x, known.gradient);
  static_assert(std::is_same_v<decltype(y)::element, float> && std::is_same_v<decltype(known.gradient)::element, bf16>);
  ctx.backward(y, 0.25);
  const Numbers at = host(ctx, x), gradient_at = host(ctx, known.gradient);
  for (std::size_t i = 0; i < at.size(); ++i) {
    CHECK(gradient_at[i] == 2 * at[i]);
    CHECK(static_cast<float>(ctx.gradient_of(x)[i]) == at[i] / 2);
  }
}

TEST_CASE("a convolution of a large batch is taken in parts, each image as if it were alone, on any number of threads") {
  using Layer = Convolved;
  using Grid = Shape<dynamic, 256, 8>;
  constexpr Index batch = 100, places = batch * 256;
  static_assert(places > 2 * ops::detail::places_at_once && places * 72 > ops::detail::unfolded_at_once<backend::Cpu>);
  struct Found {
    std::vector<float> y, d_x, d_w;
  };
  const auto run = [](int threads, const std::vector<Index>& parts) {
    backend::Cpu cpu(threads);
    const Weights<Layer, backend::Cpu> weights(cpu, 3);
    Workspace<backend::Cpu> workspace(cpu);
    Tape<backend::Cpu> tape(workspace);
    Array<backend::Cpu, float> gradients(cpu, weights.size());
    Kernels<backend::Cpu>::fill(cpu, weights.size(), 0.0, gradients.data());
    Found found;
    Index first = 0;
    for (const Index n : parts) {
      Record<backend::Cpu> ctx(tape, weights.values(), gradients);
      auto x = ops::normal<Grid>(ctx, n, Random{.seed = 4}, first);
      ctx.require_gradient(x);
      const auto out = ops::convolution<3>(ctx, x, weights.model().weight, weights.model().bias);
      std::vector<float> y(std::size_t(out.size()));
      ops::output(ctx, out, std::span(y));
      found.y.insert(found.y.end(), y.begin(), y.end());
      ctx.backward(ops::sum_all(ctx, ops::multiply(ctx, out, out)));
      found.d_x.insert(found.d_x.end(), ctx.gradient_of(x), ctx.gradient_of(x) + x.size());
      first += n;
    }
    found.d_w.resize(std::size_t(weights.size()));
    gradients.download(found.d_w);
    return found;
  };
  const Found whole = run(1, {batch}), threaded = run(3, {batch}), single = run(1, std::vector<Index>(std::size_t(batch), 1));
  CHECK(whole.y == single.y);
  CHECK(whole.d_x == single.d_x);
  double worst = 0, largest = 0;  // sums in another order
  for (std::size_t i = 0; i < whole.d_w.size(); ++i) {
    worst = std::max(worst, std::abs(double(whole.d_w[i]) - double(single.d_w[i])));
    largest = std::max(largest, std::abs(double(whole.d_w[i])));
  }
  CHECK(worst < 1e-5 * largest);
  CHECK(worst > 0);
  CHECK(whole.y == threaded.y);
  CHECK(whole.d_x == threaded.d_x);
  CHECK(whole.d_w == threaded.d_w);
}
