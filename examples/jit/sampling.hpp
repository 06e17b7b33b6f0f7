// Drawing images with a trained model, shared by `jit sample` and `jit evaluate`.
#pragma once

#include "../common/device.hpp"
#include "../common/fashion.hpp"
#include "../common/program.hpp"
#include "models.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/io/npz.hpp>
#include <sfumato/train/checkpoint.hpp>

namespace example {

struct SamplingArguments : DeviceArguments {
  std::string weights, model = "fashion";
  sfumato::SamplerOptions sampler{.steps = 50, .guidance_low = 0.1};
  std::uint64_t seed = 0;
  sfumato::Index first = 0, batch = 32;
  bool euler = false;
};

inline void add_sampling_options(CLI::App& command, SamplingArguments& a) {
  command.add_option("--weights", a.weights, "safetensors: a checkpoint of `jit train`, or a converted official one")->required();
  command.add_option("--model", a.model, "fashion, folder-64 or a published size, e.g. JiT-B/16")->capture_default_str();
  command.add_option("--steps", a.sampler.steps, "solver steps")->capture_default_str();
  command.add_flag("--euler", a.euler, "Euler instead of Heun");
  command.add_option("--guidance-low", a.sampler.guidance_low, "guidance applies for times above this")->capture_default_str();
  command.add_option("--guidance-high", a.sampler.guidance_high, "and below this")->capture_default_str();
  command.add_option("--seed", a.seed)->capture_default_str();
  command.add_option("--first", a.first, "number of the first image: each has its own noise")->capture_default_str()->check(CLI::NonNegativeNumber);
  command.add_option("--batch", a.batch, "images drawn at once; does not change them")->capture_default_str();
  add_device_options(command, a);
}

template <class Model, class E, class B, class Consume> void draw_on(B& device, const SamplingArguments& a, const std::vector<int>& labels, Consume& consume) {
  using namespace sfumato;
  using Image = typename Model::ImageShape;
  Workspace workspace(device);
  Weights<Model, B, E> weights(device);
  load_weights(a.weights, weights);
  Run<B, E> run(workspace, weights.values());
  FlowObjective<Space::x, Space::v> objective;
  objective.noise_scale = noise_scale<Model>();

  std::vector<float> images;
  const std::span<const int> all(labels);
  for (std::size_t first = 0; first < labels.size(); first += std::size_t(a.batch)) {
    const auto part = all.subspan(first, std::min(std::size_t(a.batch), labels.size() - first));
    const auto show = [&](int step) {
      std::fprintf(stderr, "\rimages %zu-%zu of %zu: step %d/%d ", first + 1, first + part.size(), labels.size(), step + 1, a.sampler.steps);
    };
    const auto by = [&]<class Method>(Method) {
      return sample<Image, Method>(run, weights.model(), objective, part, a.seed, a.first + Index(first), a.sampler, show);
    };
    const auto x = a.euler ? by(Euler{}) : by(Heun{});
    images.resize(part.size() * std::size_t(Image::row));
    ops::output(run, x, std::span(images));
    consume(std::span<const float>(images));
  }
  std::fprintf(stderr, "\n");
}

/// Draws one image per label from `--weights`, and gives them batch by batch to `consume`: (n, channels, size, size) in the
/// model's scale, all of which may not fit in memory.
template <class Model, class Consume> void draw(SamplingArguments a, const std::vector<int>& labels, Consume&& consume) {
  using namespace sfumato;
  check(a.batch > 0 && a.batch <= 65536, "sampler-options", "the batch must be in 1..65536, found ", a.batch);
  a.sampler.validate();
  on_device(a, [&]<class E>(auto& device) { draw_on<Model, E>(device, a, labels, consume); });
}

/// The drawn images as bytes.
template <class Model> std::vector<sfumato::io::Image> as_images(std::span<const float> values) {
  constexpr auto row = std::size_t(Model::ImageShape::row);
  std::vector<sfumato::io::Image> images;
  for (std::size_t i = 0; i * row < values.size(); ++i)
    images.push_back(sfumato::to_image(values.subspan(i * row, row), image_channels<Model>, image_size<Model>));
  return images;
}

}  // namespace example
