// How compile-time rules are stated: a small template whose named arguments are the numbers, an id in brackets.
#pragma once

#include <sfumato/base/config.hpp>

SFUMATO_BEGIN

template <class...> inline constexpr bool dependent_false = false;

/// Instantiates rules: `require<rule::SameShape<Op, Left, Right>>();` as the first lines of a function.
/// The first broken one speaks: clang expands a left fold from the left, and stops there. The type is deduced, so that
/// g++ asks the rule where it stands, before it complains of what follows.
template <class... Rules> constexpr auto require() { (..., void(Rules{})); }

SFUMATO_END
