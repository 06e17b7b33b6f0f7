// Labelled 8-bit images in memory: Fashion-MNIST, folders of images, small IDX subsets.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/idx.hpp>
#include <sfumato/io/image.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

SFUMATO_BEGIN
namespace io {

enum class Split { train, test };
enum class OnCorrupt { fail, skip };

/// Images of one size with a class each. Errors: "dataset-index".
struct ImageDataset {
  int height = 0, width = 0, channels = 0;
  int classes = 0;
  std::vector<std::string> class_names;    // (classes)
  std::vector<std::uint8_t> pixel_values;  // (size, height, width, channels)
  std::vector<int> labels;                 // (size), in [0, classes)
  std::vector<std::string> skipped;        // corrupt files that were left out, as asked for

  Index size() const { return static_cast<Index>(labels.size()); }
  /// Values of one image.
  std::size_t image_values() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  }
  int label(Index i) const { return labels[index(i)]; }
  /// Copies image i into `out`, (height, width, channels).
  void pixels(Index i, std::span<std::uint8_t> out) const {
    check(out.size() == image_values(), "dataset-index", "an image has ", image_values(),
          " values, room was given for ", out.size());
    std::copy_n(pixel_values.begin() + static_cast<std::ptrdiff_t>(index(i) * out.size()), out.size(), out.begin());
  }

 private:
  std::size_t index(Index i) const {
    check(i >= 0 && i < size(), "dataset-index", "image ", i, " of ", size());
    return static_cast<std::size_t>(i);
  }
};

/// Images and labels from two IDX files. Errors: "idx-file", "file-open", "dataset-labels" (counts differ, or a label
/// without a class name).
inline ImageDataset load_idx(const std::filesystem::path& images_path, const std::filesystem::path& labels_path,
                             std::vector<std::string> class_names) {
  IdxImages images = read_idx_images(images_path);
  const auto labels = read_idx_labels(labels_path);
  check(labels.size() == static_cast<std::size_t>(images.count), "dataset-labels", "'", images_path.string(), "' has ",
        images.count, " images, but '", labels_path.string(), "' has ", labels.size(), " labels");
  for (std::size_t i = 0; i < labels.size(); ++i)
    check(labels[i] < class_names.size(), "dataset-labels", "'", labels_path.string(), "': label ", int{labels[i]},
          " at index ", i, ", expected below ", class_names.size());
  ImageDataset out;
  out.height = images.height, out.width = images.width, out.channels = 1;
  out.classes = static_cast<int>(class_names.size());
  out.class_names = std::move(class_names);
  out.pixel_values = std::move(images.pixels);
  out.labels.assign(labels.begin(), labels.end());
  return out;
}

namespace detail {

struct IdxPaths {
  std::filesystem::path images, labels;
};
inline IdxPaths idx_paths(const std::filesystem::path& directory, Split split) {
  const std::string prefix = split == Split::train ? "train" : "t10k";
  return {directory / (prefix + "-images-idx3-ubyte.gz"), directory / (prefix + "-labels-idx1-ubyte.gz")};
}

/// The entries of a folder that `keep` accepts, sorted by name. Throws "dataset-folder".
template <class Keep>
std::vector<std::filesystem::path> sorted_entries(const std::filesystem::path& directory, Keep&& keep) {
  std::vector<std::filesystem::path> out;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    if (keep(entry->path())) out.push_back(entry->path());
  check(!error, "dataset-folder", "cannot list '", directory.string(), "': ", error.message());
  std::sort(out.begin(), out.end());
  return out;
}

inline bool is_folder(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

inline bool has_image_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

}  // namespace detail

/// Fashion-MNIST (Xiao et al. 2017) from a folder with the four published .gz files, or those of `save_idx`.
/// Debian's dataset-fashion-mnist puts them in /usr/share/datasets/fashion-mnist. Errors as for `load_idx`.
inline ImageDataset load_fashion_mnist(const std::filesystem::path& directory, Split split) {
  const auto paths = detail::idx_paths(directory, split);
  return load_idx(
      paths.images, paths.labels,
      {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"});
}

/// A folder whose subfolders are the classes, in sorted order; their *.png, *.jpg and *.jpeg files (in any case),
/// sorted, are decoded to `channels` and brought to size x size by `center_crop`. Other files are ignored. A damaged
/// image is an "image-file" or "image-size" error, or listed in `skipped` when asked. Errors: "dataset-folder" when
/// there is no class, a class without images, or nothing but damaged images; "dataset-size".
inline ImageDataset load_image_folder(const std::filesystem::path& directory, int size, int channels,
                                      OnCorrupt on_corrupt = OnCorrupt::fail) {
  check(size > 0 && size <= 1 << 13 && channels >= 1 && channels <= 4, "dataset-size", "size ", size, " with ",
        channels, " channels, expected a size of 1 to ", 1 << 13, " and 1 to 4 channels");
  ImageDataset out;
  out.height = out.width = size, out.channels = channels;
  const auto folders = detail::sorted_entries(directory, detail::is_folder);
  check(!folders.empty(), "dataset-folder", "'", directory.string(), "' has no subfolders: each one is a class");
  std::vector<std::pair<std::filesystem::path, int>> images;
  for (const auto& folder : folders) {
    const auto files = detail::sorted_entries(folder, detail::has_image_extension);
    check(!files.empty(), "dataset-folder", "class folder '", folder.string(), "' has no .png, .jpg or .jpeg files");
    for (const auto& file : files) images.emplace_back(file, out.classes);
    out.class_names.push_back(folder.filename().string());
    ++out.classes;
  }
  out.pixel_values.reserve(images.size() * out.image_values());
  for (const auto& [file, label] : images) {
    try {
      const Image image = center_crop(read_image(file, channels), size);
      out.pixel_values.insert(out.pixel_values.end(), image.pixels.begin(), image.pixels.end());
      out.labels.push_back(label);
    } catch (const Error& error) {
      if (on_corrupt == OnCorrupt::fail || !error.id().starts_with("image-")) throw;
      out.skipped.push_back(file.string());
    }
  }
  check(!out.labels.empty(), "dataset-folder", "all ", out.skipped.size(), " images in '", directory.string(),
        "' are corrupt");
  return out;
}

/// Writes the images with the given indices, in that order, as the two gzip'd IDX files that `load_fashion_mnist`
/// reads. Grey images only. Errors: "dataset-index", "dataset-labels", "idx-file", "disk-full", "write-failed".
inline void save_idx(const ImageDataset& dataset, std::span<const Index> indices,
                     const std::filesystem::path& directory, Split split) {
  check(dataset.channels == 1, "dataset-labels", "an IDX file holds grey images, found ", dataset.channels,
        " channels");
  check(dataset.classes <= 256, "dataset-labels", "an IDX file holds labels below 256, found ", dataset.classes,
        " classes");
  check(indices.size() <= std::size_t{std::numeric_limits<int>::max()}, "dataset-index", indices.size(),
        " images are too many");
  IdxImages images{static_cast<int>(indices.size()), dataset.height, dataset.width, {}};
  std::vector<std::uint8_t> labels;
  images.pixels.resize(indices.size() * dataset.image_values());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    dataset.pixels(indices[i], std::span(images.pixels).subspan(i * dataset.image_values(), dataset.image_values()));
    labels.push_back(static_cast<std::uint8_t>(dataset.label(indices[i])));
  }
  const auto paths = detail::idx_paths(directory, split);
  write_idx_images(paths.images, images);
  write_idx_labels(paths.labels, labels);
}

}  // namespace io
SFUMATO_END
