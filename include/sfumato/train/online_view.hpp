// What the online branch of self-distillation sees of an image, where the target branch sees all of it (DSD, arXiv 2511.14716).
#pragma once

#include <sfumato/flow/objective.hpp>
#include <sfumato/ops/elementwise.hpp>
#include <sfumato/ops/embedding.hpp>
#include <sfumato/ops/movement.hpp>
#include <sfumato/train/image_changes.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

SFUMATO_BEGIN

/// Hidden patches, moved images, other light. All depends on the step and the sample's number alone.
struct OnlineView {
  double mask = 0.5;  ///< patches are hidden, each with a probability drawn for its image from U(0, mask)
  double shift = 0;   ///< the image is moved by up to this share of its side, each way
  double colour = 0;  ///< brightness is changed by U(-colour, colour) / 2, contrast by a factor U(1 - colour, 1 + colour)

  bool changes() const { return mask > 0 || shift > 0 || colour > 0; }
  /// Throws Error("objective-options") for values that mean nothing.
  void validate() const {
    const auto within = [](double value, const char* what, double most) { check(value >= 0 && value <= most, "objective-options", "view.", what, " must be in [0, ", most, "], found ", value); };
    within(mask, "mask", 1);
    within(shift, "shift", 0.5);
    within(colour, "colour", 1);
  }
  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective.view.mask", mask);
    visit("objective.view.shift", shift);
    visit("objective.view.colour", colour);
  }

  /// images: (batch, channels, side, side); to as many of the same shape. 0 is what a hidden patch holds, and, before the light is changed, what stands behind a moved image.
  template <int Patch, class Ctx, AnyValue X> X of(Ctx& ctx, const X& images) const {
    constexpr int channels = extent<typename X::shape, 1>, side = extent<typename X::shape, 2>, tokens = (side / Patch) * (side / Patch);
    const auto n = std::size_t(images.batch);
    const auto first = static_cast<std::uint64_t>(ctx.random.first_sample);
    constexpr std::uint64_t site = std::uint64_t{3} << 40;  // those before are `augment`'s (train/adversary.hpp)
    const Random moving = detail::stream(ctx, Stream::augment), hiding = detail::stream(ctx, Stream::mask);
    X x = images;
    if (const int reach = int(shift * side); reach > 0)
      x = detail::moved(ctx, x, reach, [&](std::size_t b, std::size_t k, std::uint32_t below) { return moving.below(site + 4 * (first + b) + k, below); });
    if (colour > 0) {
      const auto contrast = ctx.workspace().template host<double>(n), brightness = ctx.workspace().template host<double>(n);
      for (std::size_t b = 0; b < n; ++b) {
        brightness[b] = colour * (moving.uniform(site + 4 * (first + b) + 2) - 0.5);
        contrast[b] = 1 + colour * (2 * moving.uniform(site + 4 * (first + b) + 3) - 1);
      }
      x = detail::lit(ctx, {contrast.data(), n}, x, {brightness.data(), n});
    }
    if (mask > 0) {
      const auto shown = ops::input_from<Shape<dynamic, tokens>>(ctx, images.batch, [&](auto* out) {
        for (std::size_t b = 0; b < n; ++b) {
          const std::uint64_t own = (first + b) * std::uint64_t(tokens + 1);
          const double ratio = mask * hiding.uniform(own);
          for (std::size_t i = 0; i < std::size_t(tokens); ++i) *out++ = static_cast<std::remove_cvref_t<decltype(*out)>>(hiding.uniform(own + 1 + i) < ratio ? 0.0f : 1.0f);
        }
      });
      const auto patches = ops::patchify<Patch, ops::PatchOrder::row_column_channel>(ctx, x);
      x = ops::unpatchify<Patch, channels, ops::PatchOrder::row_column_channel>(ctx, ops::multiply(ctx, patches, ops::broadcast<2, width_of<typename decltype(patches)::shape>>(ctx, shown)));
    }
    return x;
  }
};

SFUMATO_END
