// Shapes are types: a pack of ints, of which only the first may be known at run time (the batch).
#pragma once

#include <sfumato/base/config.hpp>

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

SFUMATO_BEGIN

/// The one extent that run time decides; only leading.
inline constexpr int dynamic = -1;

/// Names for the axes of (batch, tokens, channels) values, for `ops::concat<axis::tokens>` and the like.
namespace axis {
inline constexpr int batch = 0, tokens = 1, channels = 2;
}

namespace rule {
template <bool BatchLeads> struct LeadingBatch {
  static_assert(BatchLeads, "[leading-batch] only the first extent of a shape may be `dynamic`, and the others are positive");
};
template <int... Extents> constexpr bool batch_leads() {
  bool good = true, first = true;
  ((good = good && (Extents > 0 || (first && Extents == dynamic)), first = false), ...);
  return good;
}
}  // namespace rule

/// A static shape; `Shape<dynamic, 256, 768>` is a run-time batch of (256, 768). `Shape<>` is a scalar.
template <int... Extents> struct Shape : private rule::LeadingBatch<rule::batch_leads<Extents...>()> {
  static constexpr int rank = sizeof...(Extents);
  /// Elements of one sample: the product of all extents but `dynamic`.
  static constexpr Index row = (Index{1} * ... * (Extents == dynamic ? 1 : Extents));
  static constexpr bool batched = ((Extents == dynamic) || ...);
  static constexpr std::array<int, sizeof...(Extents)> extents{Extents...};
};

namespace detail {
template <class T> struct IsShape : std::false_type {};
template <int... E> struct IsShape<Shape<E...>> : std::true_type {};

// A shape from a constexpr function object returning std::array<int, N>.
template <class Make, std::size_t... I> constexpr auto shape_of(std::index_sequence<I...>) -> Shape<Make::extents()[I]...>;
template <class Make> using MadeShape = decltype(shape_of<Make>(std::make_index_sequence<Make::extents().size()>{}));

template <class S, int Axis, int Extent> struct ReplaceExtent {
  static constexpr auto extents() { auto e = S::extents; e[Axis] = Extent; return e; }
};
template <class S, int Axis> struct EraseExtent {
  static constexpr auto extents() {
    std::array<int, S::rank - 1> e{};
    for (int i = 0; i < S::rank - 1; ++i) e[std::size_t(i)] = S::extents[std::size_t(i < Axis ? i : i + 1)];
    return e;
  }
};
template <class S, int... Order> struct Permuted {
  static constexpr auto extents() { return std::array<int, S::rank>{S::extents[Order]...}; }
};
}  // namespace detail

template <class T>
concept IsShape = detail::IsShape<T>::value;

/// 0 outside of the rank, so that the rule of the op that asks is what speaks.
template <IsShape S, int Axis> inline constexpr int extent = [] {
  if constexpr (Axis >= 0 && Axis < S::rank) return S::extents[Axis];
  else return 0;
}();
/// Last extent: the width that norms, linears and activations work on.
template <IsShape S> inline constexpr int width_of = S::extents[S::rank - 1];
template <IsShape S, int Axis, int Extent> using replace_extent = detail::MadeShape<detail::ReplaceExtent<S, Axis, Extent>>;
template <IsShape S, int Axis> using erase_extent = detail::MadeShape<detail::EraseExtent<S, Axis>>;
template <IsShape S, int... Order> using permuted = detail::MadeShape<detail::Permuted<S, Order...>>;

SFUMATO_END
