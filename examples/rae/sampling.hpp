// Drawing images with a trained system.
#pragma once

#include "../common/device.hpp"
#include "../common/program.hpp"
#include "../common/progress.hpp"
#include "models.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/train/image_source.hpp>
#include <sfumato/train/latent_statistics.hpp>

#include <functional>
#include <span>

namespace example {

/// Weights that drawing needs.
template <class S, class B, class E> struct Drawer {
  sfumato::Workspace<B> workspace;
  sfumato::Weights<typename S::Diffusion, B, E> diffusion;
  sfumato::Weights<typename S::Scale, B, E> scale;
  sfumato::Weights<typename S::Decoder, B, E> decoder;

  explicit Drawer(B& device) : workspace(device), diffusion(device), scale(device, 0), decoder(device) {}

  /// Latents at the scale of diffusion to images in [-1, 1].
  template <class Z> auto decode(sfumato::Run<B, E>& run, const Z& z) {
    auto scaled = run.frozen(scale.values());
    auto painted = run.frozen(decoder.values());
    return decoder.model().template decode<sfumato::Range::signed_unit>(painted, scale.model().denormalise(scaled, z));
  }
  /// One image per label, numbers `first` and on of `seed`: `consume(images)` for each batch, (n, channels, side, side) in [-1, 1].
  template <class Guide, class Consume>
  void draw(std::span<const int> labels, std::uint64_t seed, sfumato::Index first, sfumato::Index batch, const sfumato::SamplerOptions& options, const Guide& guide, Consume&& consume) {
    using namespace sfumato;
    Run<B, E> run(workspace, diffusion.values());
    std::vector<float> images;
    CountLine line("drew", Index(labels.size()));
    for (std::size_t done = 0; done < labels.size(); done += std::size_t(batch)) {
      const auto part = labels.subspan(done, std::min(std::size_t(batch), labels.size() - done));
      const auto show = [&](int step) { line(Index(done), text("step ", step + 1, "/", options.steps, " of the next ", part.size())); };
      const auto z = sample<typename S::LatentShape, Euler, typename S::Grid>(run, diffusion.model(), typename S::Objective{}, part, seed, first + Index(done), options, show, guide);
      const auto x = decode(run, z);
      images.resize(std::size_t(x.size()));
      ops::output(run, x, std::span(images));
      consume(std::span<const float>(images));
    }
    line(Index(labels.size()));
  }
};

/// Images (n, channels, side, side) in [-1, 1] as bytes.
template <class S> std::vector<sfumato::io::Image> as_images(std::span<const float> values) {
  constexpr auto row = std::size_t(S::channels) * std::size_t(S::side) * std::size_t(S::side);
  std::vector<sfumato::io::Image> images;
  for (std::size_t i = 0; i + row <= values.size(); i += row) images.push_back(sfumato::to_image(values.subspan(i, row), S::channels, S::side, sfumato::ToEightBits::truncate));
  return images;
}

}  // namespace example
