// What stays alive, for how long, and what an exception leaves behind.
#include "autodiff/support.hpp"

using namespace autodiff_test;

namespace {

using Map = layer::Linear<16, 16>;
using X = Shape<dynamic, 4, 16>;

// An op whose vector-Jacobian product throws.
auto faulty(Ctx& ctx, const auto& x) {
  auto y = ops::scale(ctx, 1, x);
  y.handle.slot = {};
  ctx.record(y, true, [x](Ctx&, const float*) { throw Error("planted", "in the backward pass"); });
  return y;
}

}  // namespace

TEST_CASE("a tape is reused: the same bits, no new memory, nothing left") {
  Training<Trunk<>> t;
  const Step first = step(t);
  const std::size_t live = t.live();
  const Index allocations = t.workspace.allocations();
  CHECK(t.tape.size() == 0);
  for (int i = 0; i < 3; ++i) {
    CHECK(step(t) == first);
    CHECK(t.live() == live);  // the rotary table
    CHECK(t.workspace.allocations() == allocations);
  }
  CHECK(allocations > 0);
}

TEST_CASE("recomputation also finds its memory again") {
  Training<Trunk<Recompute>> t;
  step(t);
  const Index allocations = t.workspace.allocations();
  const std::size_t live = t.live();
  step(t);
  CHECK(t.workspace.allocations() == allocations);
  CHECK(t.live() == live);
}

TEST_CASE("inference keeps nothing") {
  Training<Trunk<>> t;
  Run<Cpu> run(t.workspace, t.weights.data());
  const auto forward = [&](auto& ctx) {
    return host(ctx, t.weights.model()(ctx, input<X>(ctx, 2, 10), input<Shape<dynamic, 16>>(ctx, 2, 11), input<Shape<dynamic, 4, 16>>(ctx, 2, 12)));
  };
  forward(run);
  const std::size_t live = t.live(), peak = t.workspace.pool().peak_bytes();
  const Index allocations = t.workspace.allocations();
  forward(run);
  CHECK(t.live() == live);
  CHECK(t.workspace.pool().peak_bytes() == peak);
  CHECK(t.workspace.allocations() == allocations);
  Ctx record = t.context();
  forward(record);
  CHECK(t.live() > live);
  CHECK(t.workspace.pool().peak_bytes() > 2 * peak);
  t.tape.clear();
  CHECK(t.live() == live);
}

TEST_CASE("the backward pass frees activations as it goes") {
  Training<Map> t;
  Ctx ctx = t.context();
  std::size_t live = 0;
  auto x = input<X>(ctx, 2, 1);
  const std::size_t before = t.live();
  {
    auto y = t.weights.model()(ctx, x);
    ctx.record(y, true, [&live, &t, y](Ctx& c, const float* d) { live = t.live(); c.add_gradient(d, y.handle.slot); });  // runs before the first layer's
    auto z = ops::silu(ctx, y);
    for (int i = 0; i < 20; ++i) z = ops::silu(ctx, z);
    const auto loss = loss_of(ctx, z);
    z = {};
    y = {};
    ctx.backward(loss);
  }
  CHECK(live - before <= 4 * x.size() * Index(sizeof(float)) + 256);  // 20 activations are gone
  CHECK(t.live() == before);
}

TEST_CASE("an exception in the forward pass: clearing the tape frees everything, the next step is as good as new") {
  Training<Trunk<>> t;
  const Step expected = step(t);
  const std::size_t live = t.live();
  const Index allocations = t.workspace.allocations();
  for (int i = 0; i < 2; ++i) {
    try {
      Ctx ctx = t.context();
      auto x = input<X>(ctx, 2, 10);
      ctx.require_gradient(x);
      const auto y = t.weights.model()(ctx, x, input<Shape<dynamic, 16>>(ctx, 2, 11), input<Shape<dynamic, 4, 16>>(ctx, 2, 12));
      loss_of(ctx, ops::recompute(ctx, [](auto& c, const auto& v) {
        const auto w = ops::silu(c, v);
        if (w.batch == 2) throw Error("planted", "in the forward pass");
        return w;
      }, y));
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.id() == "planted");
    }
    CHECK(t.tape.size() > 0);
    t.tape.clear();
    CHECK(t.live() == live);
  }
  CHECK(step(t) == expected);
  CHECK(t.workspace.allocations() <= allocations + 2);
}

TEST_CASE("an exception in the backward pass leaves the tape empty and no memory behind") {
  Training<Trunk<>> t;
  const Step expected = step(t);
  const std::size_t live = t.live();
  for (int i = 0; i < 3; ++i) {
    try {
      Ctx ctx = t.context();
      auto x = input<X>(ctx, 2, 10);
      ctx.require_gradient(x);
      const auto middle = faulty(ctx, ops::silu(ctx, x));
      const auto y = t.weights.model()(ctx, middle, input<Shape<dynamic, 16>>(ctx, 2, 11), input<Shape<dynamic, 4, 16>>(ctx, 2, 12));
      ctx.backward(loss_of(ctx, y));
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.id() == "planted");
    }
    CHECK(t.tape.size() == 0);
    CHECK(t.live() == live);
  }
  CHECK(step(t) == expected);
}

TEST_CASE("an exception in a recomputed forward pass is one of the backward pass") {
  Training<Map> t;
  int calls = 0;
  {
    Ctx ctx = t.context();
    auto x = input<X>(ctx, 2, 1);
    ctx.require_gradient(x);
    const auto y = ops::recompute(ctx, [&](auto& c, const auto& v) {
      const auto w = t.weights.model()(c, v);
      if (++calls == 2) throw Error("planted", "the second time");
      return w;
    }, x);
    CHECK_THROWS_AS(ctx.backward(loss_of(ctx, y)), Error);
    CHECK(t.tape.size() == 0);
  }
  CHECK(t.live() == 0);
}

TEST_CASE("a long tape of closures of all sizes is run in reverse, once each, in place") {
  Cpu device(1);
  Workspace<Cpu> workspace(device);
  Run<Cpu> context(workspace, nullptr);
  ClosureStack<Run<Cpu>> stack;
  std::vector<int> order;
  const auto counter = std::make_shared<int>(0);
  const auto push = [&](int i) {
    if (i % 3 == 0) stack.push([&order, i, counter](Run<Cpu>&) { order.push_back(i); });
    else stack.push([&order, i, counter, bulk = std::array<double, 700>{}](Run<Cpu>&) mutable { bulk[0] = i, order.push_back(int(bulk[0])); });
  };
  for (int round = 0; round < 3; ++round) {
    order.clear();
    for (int i = 0; i < 100; ++i) push(i);
    stack.push([&](Run<Cpu>& c) {  // pushes and runs others meanwhile
      const std::size_t mark = stack.size();
      for (int i = 1000; i < 1050; ++i) push(i);
      stack.run_down_to(mark, c);
    });
    CHECK(stack.size() == 101);
    stack.run_down_to(50, context);
    CHECK(order.size() == 100);
    for (int i = 0; i < 50; ++i) CHECK(order[std::size_t(i)] == 1049 - i);
    for (int i = 0; i < 50; ++i) CHECK(order[std::size_t(50 + i)] == 99 - i);
    stack.forget_down_to(10);
    CHECK(order.size() == 100);
    CHECK(counter.use_count() == 11);
    stack.clear();
    CHECK(counter.use_count() == 1);
  }
}
