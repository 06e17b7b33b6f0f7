// Where gradients flow, and where they do not.
#include "autodiff/support.hpp"

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
