// Images for training and for statistics: Fashion-MNIST, its bundled sample, or a folder.
#pragma once

#include "fashion.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace example {

/// Images of `size` pixels that a grid shows at most: a picture of about 4096 x 4096 pixels, and no side beyond 16384.
inline std::size_t grid_limit(int size, int columns) {
  const int cell = size + 2;
  return std::size_t(std::max(1, std::min((1 << 24) / (cell * cell), columns * (16000 / cell))));
}

/// Rows of images, and below each the row that was made of them.
inline std::vector<sfumato::io::Image> in_rows(const std::vector<sfumato::io::Image>& above, const std::vector<sfumato::io::Image>& below, int columns) {
  std::vector<sfumato::io::Image> grid;
  for (std::size_t first = 0; first < above.size(); first += std::size_t(columns)) {
    const auto last = std::min(above.size(), first + std::size_t(columns));
    for (const auto* part : {&above, &below}) {
      grid.insert(grid.end(), part->begin() + std::ptrdiff_t(first), part->begin() + std::ptrdiff_t(last));
      for (std::size_t empty = last - first; empty < std::size_t(columns); ++empty) grid.push_back({above[0].height, above[0].width, above[0].channels, std::vector<std::uint8_t>(above[0].pixels.size())});
    }
  }
  return grid;
}

/// Of commands that look at images.
struct DataArguments {
  std::string data;
  bool skip_corrupt = false;
};
inline void add_data_options(CLI::App& command, DataArguments& a) {
  command.add_option("--data", a.data, "folder with IDX files, or with one subfolder of images per class; Fashion-MNIST if left out")->check(folder_named);
  command.add_flag("--skip-corrupt", a.skip_corrupt, "leave damaged images of a folder out instead of stopping");
}

/// The data named on the command line; else Fashion-MNIST where Debian puts it; else the bundled sample. Throws Error("dataset") where the
/// images are not of Size x Size pixels and `Channels`, or have more classes than `classes`.
template <int Size, int Channels>
sfumato::io::ImageDataset load_images(const std::string& named, sfumato::io::Split split, int classes, bool skip_corrupt) {
  using namespace sfumato;
  namespace fs = std::filesystem;
  const std::string directory = fashion_or_bundled(named);
  const bool idx = fs::exists(fs::path(directory) / "train-images-idx3-ubyte.gz");
  auto dataset = idx ? io::load_fashion_mnist(directory, split) : io::load_image_folder(directory, Size, Channels, skip_corrupt ? io::OnCorrupt::skip : io::OnCorrupt::fail);
  check(dataset.height == Size && dataset.width == Size && dataset.channels == Channels, "dataset", directory, " has images of ", dataset.height, " x ", dataset.width,
        " x ", dataset.channels, ", the model takes ", Size, " x ", Size, " x ", Channels);
  check(dataset.classes <= classes, "dataset", directory, " has ", dataset.classes, " classes, the model takes ", classes);
  std::fprintf(stderr, "%s: %lld images, %d classes\n", directory.c_str(), static_cast<long long>(dataset.size()), dataset.classes);
  for (const auto& skipped : dataset.skipped) std::fprintf(stderr, "skipped: %s\n", skipped.c_str());
  return dataset;
}

}  // namespace example
