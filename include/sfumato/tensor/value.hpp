// A value: what an op takes and returns. Its shape is its type; what it holds is the context's business.
#pragma once

#include <sfumato/tensor/shape.hpp>

SFUMATO_BEGIN

/// A (batch, ...) value of `Context`. `Run` keeps a buffer in it, `Record` also a gradient slot, `Count` only an id.
template <class Context, IsShape ShapeT> struct Value {
  using context = Context;
  using shape = ShapeT;

  Index batch = 1;  ///< the run-time leading extent; 1 where the shape has none
  typename Context::Handle handle{};

  /// Number of elements.
  constexpr Index size() const { return batch * ShapeT::row; }
};

/// Stands where an optional parameter or operand is left out.
struct None {};

namespace detail {
template <class T> struct IsValue : std::false_type {};
template <class C, class S> struct IsValue<Value<C, S>> : std::true_type {};
}  // namespace detail

template <class T>
concept AnyValue = detail::IsValue<T>::value;

template <class T> inline constexpr bool is_none = std::is_same_v<T, None>;

SFUMATO_END
