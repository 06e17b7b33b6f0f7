// Tokens picked by number.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/ops/operands.hpp>

#include <algorithm>
#include <span>
#include <tuple>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct gather;
}  // namespace name

namespace detail {
template <class E> struct GatherForward {
  const E* x;
  const int* rows;
  E* y;
  Index width;
  SFUMATO_HD void operator()(Index i) const {
    const Index r = i / width;
    y[i] = x[rows[r] * width + (i - r * width)];
  }
};
template <class E> struct GatherBackward {  // no row is named twice
  const E* d_y;
  const int* rows;
  E* d_x;
  Index width;
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    const Index r = i / width;
    E& d = d_x[rows[r] * width + (i - r * width)];
    d = static_cast<E>(static_cast<C>(d) + static_cast<C>(d_y[i]));
  }
};
}  // namespace detail

/// The loops of `gather`, for each type of element: for who must name them, such as backend::cuda::instantiate_loops.
using GatherLoops = std::tuple<detail::GatherForward<float>, detail::GatherBackward<float>, detail::GatherForward<double>, detail::GatherBackward<double>,
                               detail::GatherForward<bf16>, detail::GatherBackward<bf16>>;

/// Some tokens of each sample, in the order named: y[b, i] = x[b, tokens[b Count + i]]. x: (batch, n, width); y: (batch, Count, width).
/// Throws Error("token-range") for a token that there is not, or that is named twice in a sample.
template <int Count, class Ctx, AnyValue X> constexpr auto gather(Ctx& ctx, const X& x, std::span<const int> tokens) {
  using S = typename X::shape;
  require_operands<name::gather, Ctx, X>();
  require<rule::BatchedRank<name::gather, S, 3>, rule::SliceRange<name::gather, 0, Count, extent<S, 1>>>();
  auto y = ctx.template make<replace_extent<S, 1, Count>>(x.batch);
  if constexpr (!Ctx::counting) {
    using K = kernels<Ctx>;
    using E = typename Ctx::element;
    constexpr int n = extent<S, 1>, width = width_of<S>;
    check(Index(tokens.size()) == x.batch * Count, "batch", "gather has ", tokens.size(), " tokens for ", x.batch, " samples of ", Count);
    check(x.batch * n < Index{1} << 31, "batch", "gather counts tokens in 31 bits, found ", x.batch * n);
    auto rows = ctx.workspace().template host<int>(tokens.size());
    auto named = ctx.workspace().template host<Index>(std::size_t(n));
    std::fill(named.begin(), named.end(), Index{-1});
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Index sample = Index(i) / Count;
      check(tokens[i] >= 0 && tokens[i] < n, "token-range", "token ", tokens[i], " of sample ", sample, " is outside 0..", n - 1);
      check(named[std::size_t(tokens[i])] != sample, "token-range", "token ", tokens[i], " of sample ", sample, " is named twice");
      named[std::size_t(tokens[i])] = sample;
      rows[i] = static_cast<int>(sample * n + tokens[i]);
    }
    const auto device = ctx.template scratch<int>(Index(tokens.size()));
    int* const on_device = static_cast<int*>(device.data());
    K::upload(ctx.device(), on_device, static_cast<const int*>(rows.data()), Index(tokens.size()));
    K::for_each(ctx.device(), y.size(), y.size(), detail::GatherForward<E>{ctx.data(x), on_device, ctx.mutable_data(y), width});
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot, device, on_device, size = y.size()](Ctx& c, const E* d_y) {
        K::for_each(c.device(), size, size, detail::GatherBackward<E>{d_y, on_device, c.gradient_to_add(slot), width});
      });
  }
  return y;
}

}  // namespace ops
SFUMATO_END
