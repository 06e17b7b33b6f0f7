// The objective of masked autoencoders.
#pragma once

#include <sfumato/models/masked_autoencoder.hpp>
#include <sfumato/ops/loss.hpp>

#include <numeric>
#include <vector>

SFUMATO_BEGIN

/// Mean squared error of what a MaskedAutoencoder says of the patches that it was not shown (He et al. 2022, section 3). Which are shown
/// depends on the step's seed and number and on the sample's number alone.
struct MaskedReconstruction {
  bool normalised = true;  ///< a patch's own mean and deviation are taken out of what is to be told

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("objective", "masked reconstruction");
    visit("objective.normalised", normalised);
  }
  /// images: in [-1, 1], (batch, channels, side, side); labels are not looked at. A wide scalar.
  template <class Ctx, class Model, AnyValue X> auto loss(Ctx& ctx, const Model& model, const X& images, std::span<const int>) const {
    constexpr int tokens = Model::tokens;
    const Random random{ctx.random.seed, Stream::mask, ctx.random.step};
    auto order = ctx.workspace().template host<int>(std::size_t(images.batch) * std::size_t(tokens));
    for (Index b = 0; b < images.batch; ++b) {
      int* const own = order.data() + b * tokens;
      std::iota(own, own + tokens, 0);
      const auto first = static_cast<std::uint64_t>((ctx.random.first_sample + b) * tokens);
      for (int i = tokens; i > 1; --i) std::swap(own[i - 1], own[random.below(first + static_cast<std::uint64_t>(i) - 1, static_cast<std::uint32_t>(i))]);
    }
    const std::span<const int> all{order.data(), order.size()};
    const auto x = model.encoder.template normalise<Range::signed_unit>(ctx, images);
    const auto patches = ops::patchify<Model::patch, ops::PatchOrder::row_column_channel>(ctx, x);
    const auto asked = Model::template part<Model::visible, tokens>(ctx, all);
    const auto hidden = ops::gather<Model::hidden>(ctx, patches, std::span<const int>{asked.data(), asked.size()});
    const auto target = normalised ? ops::norm<NormKind::layer>(ctx, hidden, None{}, None{}, 1e-6) : hidden;
    return ops::mse(ctx, model(ctx, x, all), target);
  }
};

SFUMATO_END
