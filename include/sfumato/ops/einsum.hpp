// Products of two operands by named axes: `einsum<"b n d, m d -> b n m">(ctx, x, w)`.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>
#include <sfumato/ops/operands.hpp>

#include <array>
#include <cstddef>
#include <utility>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct einsum;
}  // namespace name

/// A string as a template argument. Host code only.
template <std::size_t N> struct Subscripts {
  char text[N]{};
  constexpr Subscripts(const char (&from)[N]) {
    for (std::size_t i = 0; i < N; ++i) text[i] = from[i];
  }
};

namespace detail {
/// The letters of one operand, in the order of its axes.
struct EinsumTerm {
  int rank = 0;
  std::array<char, CopyShape::max_rank> letter{};

  constexpr int times(char c) const {
    int n = 0;
    for (int i = 0; i < rank; ++i) n += letter[std::size_t(i)] == c ? 1 : 0;
    return n;
  }
  constexpr int axis_of(char c) const {
    for (int i = 0; i < rank; ++i)
      if (letter[std::size_t(i)] == c) return i;
    return -1;
  }
};
struct EinsumTerms {
  EinsumTerm left, right, out;
  bool well_formed = true;
};

/// "b n d, m d -> b n m": single letters apart by spaces, a comma, an arrow.
template <std::size_t N> constexpr EinsumTerms einsum_terms(const Subscripts<N>& subscripts) {
  EinsumTerms terms;
  EinsumTerm* const order[] = {&terms.left, &terms.right, &terms.out};
  int at = 0;
  bool apart = true;
  for (std::size_t i = 0; i + 1 < N; ++i) {
    const char c = subscripts.text[i];
    EinsumTerm& term = *order[at];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool arrow = c == '-' && subscripts.text[i + 1] == '>';
    if (letter && apart && term.rank < CopyShape::max_rank) {
      term.letter[std::size_t(term.rank++)] = c;
      apart = false;
    } else if ((c == ',' && at == 0) || (arrow && at == 1)) {
      ++at;
      apart = true;
      if (arrow) ++i;
    } else if (c == ' ') {
      apart = true;
    } else {
      terms.well_formed = false;
      return terms;
    }
  }
  terms.well_formed = at == 2 && terms.left.rank > 0 && terms.right.rank > 0;
  return terms;
}

template <IsShape S> constexpr int einsum_extent(const EinsumTerm& term, char c) {
  const int axis = term.axis_of(c);
  return axis >= 0 && axis < S::rank ? S::extents[std::size_t(axis)] : 0;
}

// The rules of one letter: it stands once in two terms or more, and its extents agree.
template <class SX, class SW, char Letter, int InLeft, int InRight, int InOutput, int Left, int Right> constexpr auto require_einsum_letter() {
  require<rule::EinsumIndex<Letter, InLeft, InRight, InOutput>>();
  if constexpr (InLeft > 0 && InRight > 0) require<rule::EinsumExtent<name::einsum, SX, SW, Letter, Left, Right>>();
}
template <Subscripts S, IsShape SX, IsShape SW, class Term> constexpr auto require_einsum_letters() {
  constexpr EinsumTerms t = einsum_terms(S);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (..., require_einsum_letter<SX, SW, Term::of(t).letter[I], t.left.times(Term::of(t).letter[I]), t.right.times(Term::of(t).letter[I]),
                                t.out.times(Term::of(t).letter[I]), einsum_extent<SX>(t.left, Term::of(t).letter[I]),
                                einsum_extent<SW>(t.right, Term::of(t).letter[I])>());
  }(std::make_index_sequence<std::size_t(Term::of(t).rank)>{});
}
struct EinsumLeft { static constexpr const EinsumTerm& of(const EinsumTerms& t) { return t.left; } };
struct EinsumRight { static constexpr const EinsumTerm& of(const EinsumTerms& t) { return t.right; } };
struct EinsumOut { static constexpr const EinsumTerm& of(const EinsumTerms& t) { return t.out; } };

template <Subscripts S, IsShape SX, IsShape SW> struct EinsumShape {
  static constexpr auto extents() {
    constexpr EinsumTerms t = einsum_terms(S);
    std::array<int, std::size_t(t.out.rank)> e{};
    for (std::size_t i = 0; i < e.size(); ++i) {
      const int left = einsum_extent<SX>(t.left, t.out.letter[i]);
      e[i] = left != 0 ? left : einsum_extent<SW>(t.right, t.out.letter[i]);
    }
    return e;
  }
};

/// Elements between neighbours along each axis of a dense operand, by letter.
struct EinsumExtents {
  std::array<Index, 128> by_letter{};
  constexpr Index operator[](char c) const { return by_letter[static_cast<unsigned char>(c)]; }
  constexpr void set(char c, Index n) { by_letter[static_cast<unsigned char>(c)] = n; }
};

/// One operand: its letters and where each leads.
struct EinsumLayout {
  EinsumTerm term;
  EinsumExtents stride;

  static constexpr EinsumLayout dense(const EinsumTerm& term, const EinsumExtents& extent) {
    EinsumLayout layout{term, {}};
    Index stride = 1;
    for (int i = term.rank; i-- > 0; stride *= extent[term.letter[std::size_t(i)]]) layout.stride.set(term.letter[std::size_t(i)], stride);
    return layout;
  }
  constexpr Index size(const EinsumExtents& extent) const {
    Index n = 1;
    for (int i = 0; i < term.rank; ++i) n *= extent[term.letter[std::size_t(i)]];
    return n;
  }
};

/// Letters walked as one axis: `extent` elements, `stride` apart, or no such stride (`flat` is false).
struct EinsumAxis {
  Index extent = 1, stride = 0;
  bool flat = true;
};
constexpr EinsumAxis flatten(const EinsumTerm& group, const EinsumLayout& layout, const EinsumExtents& extent) {
  EinsumAxis axis;
  for (int i = group.rank; i-- > 0;) {
    const char c = group.letter[std::size_t(i)];
    if (extent[c] == 1) continue;
    if (axis.extent == 1) axis.stride = layout.stride[c];
    else axis.flat = axis.flat && layout.stride[c] == axis.stride * axis.extent;
    axis.extent *= extent[c];
  }
  return axis;
}

constexpr EinsumTerm joined(const EinsumTerm& a, const EinsumTerm& b, const EinsumTerm& c) {
  EinsumTerm all;
  for (const EinsumTerm* part : {&a, &b, &c})
    for (int i = 0; i < part->rank; ++i) all.letter[std::size_t(all.rank++)] = part->letter[std::size_t(i)];
  return all;
}

/// Loops over the letters of `term`, from one layout to another.
constexpr CopyShape einsum_copy(const EinsumTerm& term, const EinsumLayout& from, const EinsumLayout& to, const EinsumExtents& extent) {
  CopyShape loops;
  for (; loops.rank < term.rank; ++loops.rank) {
    const char c = term.letter[std::size_t(loops.rank)];
    loops.extent[loops.rank] = extent[c];
    loops.src_stride[loops.rank] = from.stride[c];
    loops.dst_stride[loops.rank] = to.stride[c];
  }
  return loops;
}

/// out (+)= sum over the letters that `out` lacks of a * b: one strided product per batch, after a copy of an operand only
/// where no single stride walks its rows, its columns or its batches.
template <class Ctx, class E>
void contract(Ctx& ctx, const EinsumExtents& extent, const EinsumTerm& ta, const E* a, const EinsumTerm& tb, const E* b, const EinsumTerm& tc, E* out, bool accumulate) {
  using K = kernels<Ctx>;
  EinsumTerm batch, rows, cols, inner;
  const auto put = [](EinsumTerm& group, char c) { group.letter[std::size_t(group.rank++)] = c; };
  for (int i = 0; i < tc.rank; ++i) {
    const char c = tc.letter[std::size_t(i)];
    put(ta.times(c) ? (tb.times(c) ? batch : rows) : cols, c);
  }
  // The product's columns are neighbours in memory: the last letter of `out` is one of them.
  if (tc.rank > 0 && rows.times(tc.letter[std::size_t(tc.rank - 1)])) return contract(ctx, extent, tb, b, ta, a, tc, out, accumulate);
  for (int i = 0; i < ta.rank; ++i)
    if (const char c = ta.letter[std::size_t(i)]; !tc.times(c)) put(inner, c);

  // An operand as (batch, first, second), in place or copied.
  struct Prepared {
    Buffer<typename Ctx::backend> copy;
    const E* data;
    EinsumAxis batch, first, second;
  };
  const auto prepare = [&](const EinsumTerm& term, const E* data, const EinsumTerm& first, const EinsumTerm& second) {
    const auto axes = [&](Prepared& p, const EinsumLayout& layout) {
      p.batch = flatten(batch, layout, extent), p.first = flatten(first, layout, extent), p.second = flatten(second, layout, extent);
      return p.batch.flat && p.first.flat && p.second.flat;
    };
    Prepared p{{}, data, {}, {}, {}};
    const auto here = EinsumLayout::dense(term, extent);
    if (axes(p, here)) return p;
    const auto there = EinsumLayout::dense(joined(batch, first, second), extent);
    p.copy = ctx.scratch(there.size(extent));
    K::strided_copy(ctx.device(), einsum_copy(there.term, here, there, extent), data, static_cast<E*>(p.copy.data()), false);
    p.data = static_cast<const E*>(p.copy.data());
    axes(p, there);
    return p;
  };
  const Prepared x = prepare(ta, a, rows, inner), w = prepare(tb, b, inner, cols);

  const auto product = [&](const EinsumLayout& layout, E* to, bool add) {
    const EinsumAxis c_batch = flatten(batch, layout, extent), c_row = flatten(rows, layout, extent), c_col = flatten(cols, layout, extent);
    K::matmul(ctx.device(),
              MatmulShape{.m = c_row.extent, .n = c_col.extent, .k = x.second.extent, .a_row = x.first.stride, .a_col = x.second.stride, .b_row = w.first.stride,
               .b_col = w.second.stride, .c_row = c_row.extent > 1 ? c_row.stride : c_col.extent, .batch = c_batch.extent, .a_batch = x.batch.stride,
               .b_batch = w.batch.stride, .c_batch = c_batch.stride},
              x.data, w.data, to, add, nullptr, Activation::none);
  };
  const auto here = EinsumLayout::dense(tc, extent);
  const EinsumAxis columns = flatten(cols, here, extent);
  if (flatten(batch, here, extent).flat && flatten(rows, here, extent).flat && columns.flat && (columns.extent == 1 || columns.stride == 1))
    return product(here, out, accumulate);
  const auto apart = EinsumLayout::dense(joined(batch, rows, cols), extent);
  auto buffer = ctx.scratch(apart.size(extent));
  product(apart, static_cast<E*>(buffer.data()), false);
  K::strided_copy(ctx.device(), einsum_copy(tc, apart, here, extent), static_cast<const E*>(buffer.data()), out, accumulate);
}

/// The op itself, free of strings: they stay out of what a device compiler may see.
template <class Y, class Ctx, class X, class W>
constexpr auto einsum(Ctx& ctx, const EinsumTerms& terms, const X& x, const W& w) {
  EinsumExtents extent;
  const auto measure = [&](const EinsumTerm& term, const auto& extents, Index batch) {
    for (std::size_t i = 0; i < extents.size(); ++i) {
      const Index n = extents[i] == dynamic ? batch : extents[i];
      const char c = term.letter[i];
      check(extent[c] == 0 || extent[c] == n, "batch", "the operands of einsum have batches of ", extent[c], " and ", n);
      extent.set(c, n);
    }
  };
  measure(terms.left, X::shape::extents, x.batch);
  if constexpr (IsParam<W>) measure(terms.right, W::shape::extents, 1);
  else measure(terms.right, W::shape::extents, w.batch);

  Index batch = 1;
  if constexpr (Y::batched) batch = extent[terms.out.letter[0]];
  auto y = ctx.template make<Y>(batch);
  if constexpr (Ctx::counting) {
    Index macs = x.size();
    for (int i = 0; i < terms.right.rank; ++i)
      if (const char c = terms.right.letter[std::size_t(i)]; !terms.left.times(c)) macs *= extent[c];
    ctx.macs(macs);
    ctx.save(x);
    if constexpr (!IsParam<W>) ctx.save(w);
  } else {
    using E = typename Ctx::element;
    const auto data = [](Ctx& c, const W& operand) -> const E* {
      if constexpr (IsParam<W>) return c.weight(operand);
      else return c.data(operand);
    };
    contract<Ctx, E>(ctx, extent, terms.left, ctx.data(x), terms.right, data(ctx, w), terms.out, ctx.mutable_data(y), false);
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x) || ctx.flows(w), [extent, terms, x, w, data](Ctx& c, const E* d_y) {
        // Each gradient is again a product by named axes.
        if (auto [d_x, accumulate] = c.gradient(x); d_x)
          contract<Ctx, E>(c, extent, terms.out, d_y, terms.right, data(c, w), terms.left, d_x, accumulate);
        if constexpr (IsParam<W>) {
          if (E* d_w = c.parameter_gradient(w)) contract<Ctx, E>(c, extent, terms.left, c.data(x), terms.out, d_y, terms.right, d_w, true);
        } else {
          if (auto [d_w, accumulate] = c.gradient(w); d_w)
            contract<Ctx, E>(c, extent, terms.left, c.data(x), terms.out, d_y, terms.right, d_w, accumulate);
        }
      });
  }
  return y;
}
}  // namespace detail

/// Sum over the letters that the output lacks of x * w: `einsum<"b n d, m d -> b n m">(ctx, x, w)`. Every letter names an
/// axis and stands once in two of the three terms, or in all; x is a value, w a value or a parameter. A run-time batch must
/// lead the output, or be summed over.
template <Subscripts S, class Ctx, AnyValue X, class W>
  requires AnyValue<W> || IsParam<W>
constexpr auto einsum(Ctx& ctx, const X& x, const W& w) {
  using SX = typename X::shape;
  using SW = typename W::shape;
  constexpr detail::EinsumTerms terms = detail::einsum_terms(S);
  require_operands<name::einsum, Ctx, X>();
  if constexpr (AnyValue<W>) require_operands<name::einsum, Ctx, W>();
  require<rule::EinsumFormat<terms.well_formed>, rule::EinsumRank<1, terms.left.rank, SX::rank>, rule::EinsumRank<2, terms.right.rank, SW::rank>>();
  detail::require_einsum_letters<S, SX, SW, detail::EinsumLeft>();
  detail::require_einsum_letters<S, SX, SW, detail::EinsumRight>();
  detail::require_einsum_letters<S, SX, SW, detail::EinsumOut>();
  return detail::einsum<sfumato::detail::MadeShape<detail::EinsumShape<S, SX, SW>>>(ctx, terms, x, w);
}

}  // namespace ops
SFUMATO_END
