// Winograd's convolution, F(2 x 2, 3 x 3): 16 products for the 36 that 2 x 2 places of a 3 x 3 convolution take.
// Winograd 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. `convolution` chooses it; it is no op.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/ops/operands.hpp>

#include <algorithm>
#include <type_traits>

SFUMATO_BEGIN
namespace ops {
namespace detail {

/// Channels that a transform takes at a time.
inline constexpr int winograd_lanes = 16;

/// Where it is faster than unfolding on the backends that ask for it (docs/performance.md). In bf16, whose sums would be rounded between its steps, never.
template <class Ctx, class E, int In, int Out>
inline constexpr bool winograd_pays = multiplies_dearly<typename Ctx::backend> && std::is_same_v<E, compute_t<E>> && In % winograd_lanes == 0 && Out % winograd_lanes == 0 && In >= 32;

/// Tiles of 2 x 2 places, row by row, sample by sample.
struct WinogradTiles {
  Index height, width, channels, first;
  struct Place {
    Index sample, row, column;
  };
  SFUMATO_HD constexpr Place place(Index n) const {
    const Index across = width / 2, each = height / 2 * across, all = first + n, b = all / each, t = all - b * each, row = t / across;
    return {b, 2 * row, 2 * (t - row * across)};
  }
};

/// B^T d B of the 4 x 4 places around each tile: x (places, channels) to y (16, tiles, channels).
template <class E> struct WinogradInput {
  const E* x;
  E* y;
  WinogradTiles tiles;
  Index count;
  SFUMATO_HD void operator()(Index i) const {
    constexpr int lanes = winograd_lanes;
    const Index blocks = tiles.channels / lanes, n = i / blocks, c = (i - n * blocks) * lanes;
    const auto at = tiles.place(n);
    E d[4][4][lanes];
    for (Index r = 0; r < 4; ++r)
      for (Index k = 0; k < 4; ++k) {
        const Index row = at.row + r - 1, column = at.column + k - 1;
        if (row < 0 || row >= tiles.height || column < 0 || column >= tiles.width) {
          for (int l = 0; l < lanes; ++l) d[r][k][l] = 0;
        } else {
          const E* const from = x + ((at.sample * tiles.height + row) * tiles.width + column) * tiles.channels + c;
          for (int l = 0; l < lanes; ++l) d[r][k][l] = from[l];
        }
      }
    for (int k = 0; k < 4; ++k) transform(d[0][k], d[1][k], d[2][k], d[3][k]);
    for (int r = 0; r < 4; ++r) transform(d[r][0], d[r][1], d[r][2], d[r][3]);
    for (Index at_16 = 0; at_16 < 16; ++at_16) {
      E* const to = y + (at_16 * count + n) * tiles.channels + c;
      for (int l = 0; l < lanes; ++l) to[l] = d[at_16 / 4][at_16 % 4][l];
    }
  }
  static SFUMATO_HD void transform(E* d0, E* d1, E* d2, E* d3) {
    for (int l = 0; l < winograd_lanes; ++l) {
      const E b = d1[l], c = d2[l];
      d0[l] -= c;
      d1[l] = b + c;
      d2[l] = c - b;
      d3[l] = b - d3[l];
    }
  }
};
/// G g G^T of each pair of channels: weight (out, in, 3, 3) to y (16, out, in), or, `turned`, of the weight turned by half a circle, (16, in, out).
template <class E> struct WinogradWeight {
  const E* weight;
  E* y;
  Index out, in, turned;
  SFUMATO_HD void operator()(Index i) const {
    const Index o = i / in, c = i - o * in, to = turned != 0 ? c * out + o : i;
    E g[3][3], rows[4][3];
    for (Index t = 0; t < 9; ++t) g[t / 3][t % 3] = weight[9 * i + (turned != 0 ? 8 - t : t)];
    for (int k = 0; k < 3; ++k) transform(g[0][k], g[1][k], g[2][k], [&](int r, E value) { rows[r][k] = value; });
    for (int r = 0; r < 4; ++r) transform(rows[r][0], rows[r][1], rows[r][2], [&](int k, E value) { y[(4 * r + k) * out * in + to] = value; });
  }
  template <class Put> static SFUMATO_HD void transform(E a, E b, E c, const Put& put) {
    put(0, a);
    put(1, E(0.5) * (a + b + c));
    put(2, E(0.5) * (a - b + c));
    put(3, c);
  }
};
/// A^T m A, with the bias or added to what is there: m (16, tiles, channels) to y (places, channels).
template <class E> struct WinogradOutput {
  const E *m, *bias;
  E* y;
  WinogradTiles tiles;
  Index count, accumulate;
  SFUMATO_HD void operator()(Index i) const {
    constexpr int lanes = winograd_lanes;
    const Index blocks = tiles.channels / lanes, n = i / blocks, c = (i - n * blocks) * lanes;
    const auto at = tiles.place(n);
    E rows[2][4][lanes];
    for (Index k = 0; k < 4; ++k)
      for (int l = 0; l < lanes; ++l) {
        const auto of = [&](Index r) { return m[((4 * r + k) * count + n) * tiles.channels + c + l]; };
        rows[0][k][l] = of(0) + of(1) + of(2);
        rows[1][k][l] = of(1) - of(2) - of(3);
      }
    for (Index r = 0; r < 2; ++r) {
      E* const to = y + ((at.sample * tiles.height + at.row + r) * tiles.width + at.column) * tiles.channels + c;
      const E(&row)[4][lanes] = rows[r];
      for (int l = 0; l < lanes; ++l) {
        const E offset = bias != nullptr ? bias[c + l] : E(0);
        const E first = row[0][l] + row[1][l] + row[2][l] + offset, second = row[1][l] - row[2][l] - row[3][l] + offset;
        to[l] = accumulate != 0 ? to[l] + first : first;
        to[tiles.channels + l] = accumulate != 0 ? to[tiles.channels + l] + second : second;
      }
    }
  }
};

/// A convolution from `in` channels to `out`, or, `turned`, what it hands back from the gradient of its output, of `in` channels here.
struct Winograd {
  Index height, width, samples, in, out;
  bool turned;

  template <class Ctx, class E> void run(Ctx& ctx, const E* x, const E* weight, const E* bias, E* y, bool accumulate) const {
    using K = kernels<Ctx>;
    const Index all = samples * (height / 2) * (width / 2);
    // Enough tiles that packing the weights is little beside the products, and no more than caches hold.
    const Index most = std::min(all, std::max<Index>(256, (Index{1} << 20) / (16 * (in + out))));
    const auto transformed = ctx.scratch(16 * in * out), seen = ctx.scratch(16 * most * in), products = ctx.scratch(16 * most * out);
    E *const u = static_cast<E*>(transformed.data()), *const v = static_cast<E*>(seen.data()), *const m = static_cast<E*>(products.data());
    K::for_each(ctx.device(), in * out, 25 * in * out, turned ? WinogradWeight<E>{weight, u, in, out, 1} : WinogradWeight<E>{weight, u, out, in, 0});
    for (Index first = 0; first < all; first += most) {
      const Index count = std::min(most, all - first);
      K::for_each(ctx.device(), count * in / winograd_lanes, 16 * count * in, WinogradInput<E>{x, v, {height, width, in, first}, count});
      K::matmul(ctx.device(), MatmulShape{.m = count, .n = out, .k = in, .a_row = in, .a_col = 1, .b_row = 1, .b_col = in, .c_row = out, .batch = 16, .a_batch = count * in, .b_batch = in * out, .c_batch = count * out},
                static_cast<const E*>(v), static_cast<const E*>(u), m, false, nullptr, Activation::none);
      K::for_each(ctx.device(), count * out / winograd_lanes, 16 * count * out, WinogradOutput<E>{m, bias, y, {height, width, out, first}, count, accumulate});
    }
  }
};

}  // namespace detail
}  // namespace ops
SFUMATO_END
