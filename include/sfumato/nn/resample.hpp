// Bicubic resampling as a product with a matrix of weights, so that images and position tables are resized where the model runs.
#pragma once

#include <sfumato/ops/einsum.hpp>
#include <sfumato/ops/elementwise.hpp>
#include <sfumato/tensor/param.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

SFUMATO_BEGIN

/// PyTorch's, with align_corners=False: the bicubic kernel (Keys 1981) with a = -3/4 on four neighbours, those beyond the border being its
/// last; with antialias=True, a = -1/2 stretched where the result is smaller, over what lies inside; and bilinear, on two neighbours.
enum class Interpolation { cubic, cubic_antialiased, linear };

/// Row i: the weights of the In values of an axis in value i of Out. A table for `Context::constant`.
template <Interpolation Kind, int In, int Out> struct InterpolationTable {
  static constexpr int rows = Out, width = In;
  static constexpr Index size = Index{rows} * width;

  static void fill(double* table) {
    std::fill_n(table, size, 0.0);
    const double scale = double(In) / Out, stretch = Kind == Interpolation::cubic_antialiased ? std::max(scale, 1.0) : 1.0;
    for (int i = 0; i < Out; ++i, table += In) {
      const double centre = scale * (i + 0.5);
      if constexpr (Kind == Interpolation::cubic) {
        const double at = centre - 0.5;
        const int first = static_cast<int>(std::floor(at));
        for (int j = first - 1; j < first + 3; ++j) table[std::clamp(j, 0, In - 1)] += kernel(j - at, -0.75);
      } else if constexpr (Kind == Interpolation::linear) {
        const double at = std::clamp(centre - 0.5, 0.0, In - 1.0);
        const int first = static_cast<int>(at);
        table[first] += 1 - (at - first);
        if (first + 1 < In) table[first + 1] += at - first;
      } else {
        const int first = std::max(static_cast<int>(centre - 2 * stretch + 0.5), 0), last = std::min(static_cast<int>(centre + 2 * stretch + 0.5), In);
        double sum = 0;
        for (int j = first; j < last; ++j) sum += table[j] = kernel((j - centre + 0.5) / stretch, -0.5);
        for (int j = first; j < last; ++j) table[j] /= sum;
      }
    }
  }

 private:
  static double kernel(double x, double a) {
    x = std::abs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
  }
};

namespace layer {
namespace name {
struct resize;
}

// In the context's elements: where PyTorch resamples in f32, so should these, without TF32.

/// Images (batch, channels, size, size) to another size; themselves where they have it.
template <Interpolation Kind, int Size, class Ctx, AnyValue X> constexpr auto resize(Ctx& ctx, const X& images) {
  using S = typename X::shape;
  require<rule::BatchedRank<name::resize, S, 4>, rule::SameShape<name::resize, Shape<extent<S, 2>>, Shape<extent<S, 3>>>>();
  constexpr int from = extent<S, 2>;
  if constexpr (from == Size) {
    return images;
  } else {
    const auto weights = ctx.template constant<InterpolationTable<Kind, from, Size>>();
    return ops::einsum<"j x, b c i x -> b c i j">(ctx, weights, ops::einsum<"i y, b c y x -> b c i x">(ctx, weights, images));
  }
}

/// A table of positions on a Stored x Stored grid, (Stored^2, width), for a Grid x Grid one: (Grid^2, width).
template <Interpolation Kind, int Stored, int Grid, class Ctx, AnyValue P> constexpr auto resize_positions(Ctx& ctx, const P& table) {
  constexpr int width = width_of<typename P::shape>;
  if constexpr (Stored == Grid) {
    return table;
  } else {
    const auto weights = ctx.template constant<InterpolationTable<Kind, Stored, Grid>>();
    const auto square = ops::reshape<Shape<Stored, Stored, width>>(ctx, table);
    return ops::reshape<Shape<Grid * Grid, width>>(ctx, ops::einsum<"j x, i x c -> i j c">(ctx, weights, ops::einsum<"i y, y x c -> i x c">(ctx, weights, square)));
  }
}

}  // namespace layer
SFUMATO_END
