// What views of images are made of: moves, and light. Each image's own, by draws that its caller makes.
#pragma once

#include <sfumato/ops/elementwise.hpp>
#include <sfumato/ops/window.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

SFUMATO_BEGIN
namespace detail {

/// images: (batch, channels, side, side), each moved by up to `reach` pixels up or down and left or right, zeros behind it. draw(b, k, m): of image b, rows (k = 0) or columns
/// (k = 1), a whole number below m.
template <class Ctx, AnyValue X, class Draw> X moved(Ctx& ctx, const X& images, int reach, Draw&& draw) {
  const auto n = std::size_t(images.batch);
  const auto shifts = ctx.workspace().template host<int>(2 * n);
  for (std::size_t i = 0; i < 2 * n; ++i) shifts[i] = static_cast<int>(draw(i / 2, i % 2, static_cast<std::uint32_t>(2 * reach + 1))) - reach;
  return ops::translate(ctx, images, std::span<const int>{shifts.data(), 2 * n});
}

/// contrast[b] x + brightness[b] of image b.
template <class Ctx, AnyValue X> X lit(Ctx& ctx, std::span<const double> contrast, const X& images, std::span<const double> brightness) {
  auto ones = ctx.template make<typename X::shape>(images.batch);
  ops::kernels<Ctx>::fill(ctx.device(), ones.size(), 1.0, ctx.mutable_data(ones));
  return ops::combine_samples(ctx, contrast, images, brightness, ones);
}

}  // namespace detail
SFUMATO_END
