// An op of one's own, the cumulative sum along an axis: its kernel for every backend, its shape rule, its gradient and its cost in
// one place, and one struct from which its tests are made.
#include "ops/generated.hpp"

namespace mine {

using namespace sfumato;

/// Running sums of lines of `extent` elements, `inner` apart.
template <class E> struct RunningSum {
  const E* x;
  E* y;
  Index extent, inner;
  bool reversed, accumulate;

  SFUMATO_HD void operator()(Index line) const {
    using C = compute_t<E>;
    C sum = 0;
    for (Index k = 0; k < extent; ++k) {
      const Index at = (line / inner * extent + (reversed ? extent - 1 - k : k)) * inner + line % inner;
      sum += static_cast<C>(x[at]);
      y[at] = static_cast<E>(accumulate ? static_cast<C>(y[at]) + sum : sum);
    }
  }
};

/// y[..., i, ...] = x[..., 0, ...] + ... + x[..., i, ...] along a static axis; of x's shape.
template <int Axis, class Ctx, AnyValue X> constexpr auto cumulative_sum(Ctx& ctx, const X& x) {
  using S = typename X::shape;
  ops::require_operands<struct CumulativeSum, Ctx, X>();
  require<rule::AxisInRank<struct CumulativeSum, Axis, S::rank>, rule::StaticAxis<struct CumulativeSum, Axis, extent<S, Axis>>>();
  auto y = ctx.template make<S>(x.batch);
  if constexpr (!Ctx::counting) {
    using E = typename Ctx::element;
    const auto sums = [n = x.size()](Ctx& c, const E* from, E* to, bool reversed, bool accumulate) {
      ops::kernels<Ctx>::for_each(c.device(), n / extent<S, Axis>, n,
                                  RunningSum<E>{from, to, extent<S, Axis>, ops::AxisSplit<S, Axis>::inner(), reversed, accumulate});
    };
    sums(ctx, ctx.data(x), ctx.mutable_data(y), false, false);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot, sums](Ctx& c, const E* d_y) {  // d_x is d_y summed from the other end
        const auto [d_x, accumulate] = c.gradient(slot);
        sums(c, d_y, d_x, true, accumulate);
      });
  }
  return y;
}

}  // namespace mine

namespace {

template <int Axis> struct CumulativeSum : Case {
  using Values = Inputs<Shape<dynamic, 3, 4, 8>>;
  static constexpr auto build(auto& ctx, const auto&, const auto& x) { return mine::cumulative_sum<Axis>(ctx, x); }
};
using CumulativeSumCases = std::tuple<CumulativeSum<1>, CumulativeSum<2>, CumulativeSum<3>>;

}  // namespace

SFUMATO_TEST_OPS(CumulativeSumCases)

TEST_CASE("a cumulative sum, number by number") {
  Reference device;
  Workspace<Reference> workspace(device);
  Run<Reference, double> run(workspace, nullptr);
  const auto x = ops::input<Shape<dynamic, 2, 3>>(run, Values{1, 2, 3, 10, 20, 30});
  CHECK(host(run, mine::cumulative_sum<2>(run, x)) == Values{1, 3, 6, 10, 30, 60});
  CHECK(host(run, mine::cumulative_sum<1>(run, x)) == Values{1, 2, 3, 11, 22, 33});
}
