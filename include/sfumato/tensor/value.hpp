// A value: what an op takes and returns. Its shape is its type; what it holds is the context's business.
#pragma once

#include <sfumato/tensor/shape.hpp>

SFUMATO_BEGIN

/// A (batch, ...) value of `Context`. `Run` keeps a buffer in it, `Record` also a gradient slot, `Count` only an id. Its elements
/// are the context's, or wider (`Context::wide`) where sums gather: losses, and a residual stream that asks for it.
template <class Context, IsShape ShapeT, class E = typename Context::element> struct Value {
  using context = Context;
  using shape = ShapeT;
  using element = E;

  Index batch = 1;  ///< the run-time leading extent; 1 where the shape has none
  typename Context::template Handle<E> handle{};

  /// Number of elements.
  constexpr Index size() const { return batch * ShapeT::row; }
};

/// Stands where an optional parameter or operand is left out.
struct None {};

namespace detail {
template <class T> struct IsValue : std::false_type {};
template <class C, class S, class E> struct IsValue<Value<C, S, E>> : std::true_type {};
}  // namespace detail

template <class T>
concept AnyValue = detail::IsValue<T>::value;

template <class T> inline constexpr bool is_none = std::is_same_v<T, None>;

SFUMATO_END
