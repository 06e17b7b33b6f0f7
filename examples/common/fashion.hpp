// Fashion-MNIST for the examples.
#pragma once

#include <sfumato/train/image_source.hpp>

#include <CLI/CLI.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace example {

/// Where Debian's package dataset-fashion-mnist puts the files.
inline constexpr const char* fashion_folder = "/usr/share/datasets/fashion-mnist";

#ifdef EXAMPLES_DATA_DIR  // set by this project's build
/// A few thousand of its images, for machines without the package (MIT licence, Zalando SE).
inline constexpr const char* bundled_fashion = EXAMPLES_DATA_DIR "/fashion-mnist-sample";
/// Weights of the classifier that scores generated images.
inline constexpr const char* bundled_classifier = EXAMPLES_DATA_DIR "/fashion_classifier.safetensors";

/// The folder named; else Fashion-MNIST where Debian puts it; else the bundled sample of it.
inline std::string fashion_or_bundled(const std::string& named) {
  return !named.empty() ? named : std::filesystem::exists(fashion_folder) ? fashion_folder : bundled_fashion;
}
#endif

/// For an option's check: an empty name would be taken for one that was not given.
inline std::string folder_named(const std::string& given) { return given.empty() ? "expected the name of a folder, found an empty one" : ""; }

/// Adds --data.
inline void add_data_option(CLI::App& app, std::filesystem::path& folder) {
  folder = fashion_folder;
  app.add_option("--data", folder, "folder with Fashion-MNIST's four .gz files")
      ->capture_default_str()
      ->check(folder_named);
}

/// A dataset's images, (size, channels, height, width) in [-1, 1].
inline std::vector<float> scaled_images(const sfumato::io::ImageDataset& dataset) {
  const sfumato::ImageSource source(dataset);
  std::vector<float> images(static_cast<std::size_t>(source.size()) * dataset.image_values());
  for (sfumato::Index i = 0; i < source.size(); ++i)
    source.load(i, false, images.data() + static_cast<std::size_t>(i) * dataset.image_values());
  return images;
}

/// Grey samples of size x size pixels in [-1, 1], in a grid of `columns`.
inline sfumato::io::Image sample_grid(std::span<const float> samples, int size, int columns) {
  const auto values = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  std::vector<sfumato::io::Image> images;
  for (std::size_t i = 0; i + values <= samples.size(); i += values)
    images.push_back(sfumato::to_image(samples.subspan(i, values), 1, size));
  return sfumato::io::grid(images, columns, 2);
}

}  // namespace example
