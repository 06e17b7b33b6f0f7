// What every op's front door asks first: do the operands belong to the context?
#pragma once

#include <sfumato/backend/workspace.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/base/rules.hpp>
#include <sfumato/tensor/param.hpp>

SFUMATO_BEGIN
namespace ops {

namespace detail {
template <bool AnyElement, class Op, class Ctx, class V> constexpr auto require_operand() {
  using C = typename V::context;
  if constexpr (!std::is_same_v<typename C::backend, typename Ctx::backend>) require<rule::SameBackend<Op, typename Ctx::backend, typename C::backend>>();
  else if constexpr (!std::is_same_v<typename C::element, typename Ctx::element>) require<rule::SameElement<Op, typename Ctx::element, typename C::element>>();
  else if constexpr (!std::is_same_v<C, Ctx>) require<rule::SameContext<Op, Ctx, C>>();
  else if constexpr (!AnyElement && !std::is_same_v<typename V::element, typename Ctx::element>)
    require<rule::SameElement<Op, typename Ctx::element, typename V::element>>();
}
}  // namespace detail

/// Requires that each operand was made by a context like `Ctx`, in whatever elements; the diagnostic names the op and both sides.
template <class Op, class Ctx, class... Values> constexpr auto require_context() { (detail::require_operand<true, Op, Ctx, Values>(), ...); }
/// The same, and that their elements are the context's: a wide value (`widen`) is for ops that say so.
template <class Op, class Ctx, class... Values> constexpr auto require_operands() { (detail::require_operand<false, Op, Ctx, Values>(), ...); }

/// Throws Error("batch") unless the operands of `op` hold the same number of samples.
template <class X, class... Others> constexpr void require_same_batch(const char* op, const X& x, const Others&... others) {
  (check(x.batch == others.batch, "batch", "the operands of ", op, " have batches of ", x.batch, " and ", others.batch), ...);
}

/// Throws Error("batch") unless a value of shape S can hold so many samples.
template <IsShape S> constexpr void require_batch(Index batch) {
  check(batch > 0 && (S::batched || batch == 1), "batch", S::batched ? "a batch must hold at least one sample" : "this shape has no batch", ", found ", batch);
}

/// The kernels of a context's backend.
template <class Ctx> using kernels = Kernels<typename Ctx::backend>;

/// Shape of a value with its last extent replaced.
template <IsShape S, int Width> using with_width = replace_extent<S, S::rank - 1, Width>;

/// Side of a square grid of so many places; where it is none, of the next larger one.
template <int Places> inline constexpr int square_side = [] {
  int side = 1;
  while (side * side < Places) ++side;
  return side;
}();

/// Number of rows of the last extent's width.
template <class V> constexpr Index rows_of(const V& v) { return v.size() / width_of<typename V::shape>; }

}  // namespace ops
SFUMATO_END
