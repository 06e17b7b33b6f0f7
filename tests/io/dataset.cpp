// Fashion-MNIST's files, folders of images, IDX subsets.
#include <sfumato/io/dataset.hpp>

#include "support.hpp"

using namespace io_test;
using namespace sfumato::io;
using sfumato::Index;

namespace {

ImageDataset small_dataset() {
  ImageDataset out;
  out.height = 3, out.width = 2, out.channels = 1, out.classes = 10;
  for (int i = 0; i < 5; ++i) {
    out.labels.push_back(9 - i);
    for (int p = 0; p < 6; ++p) out.pixel_values.push_back(static_cast<std::uint8_t>(10 * i + p));
  }
  return out;
}

void save_plain(const std::filesystem::path& path, std::uint8_t value) {
  write_png(path, {4, 4, 3, std::vector<std::uint8_t>(48, value)});
}

}  // namespace

TEST_CASE("a subset saved as IDX loads as Fashion-MNIST does") {
  const TemporaryDirectory folder;
  const std::vector<Index> indices{4, 0, 2};
  for (const Split split : {Split::train, Split::test}) {
    save_idx(small_dataset(), indices, folder.path(), split);
    const ImageDataset read = load_fashion_mnist(folder.path(), split);
    CHECK(read.size() == 3);
    CHECK(read.height == 3);
    CHECK(read.width == 2);
    CHECK(read.channels == 1);
    CHECK(read.classes == 10);
    CHECK(read.class_names[9] == "Ankle boot");
    CHECK(read.label(0) == 5);
    CHECK(read.label(2) == 7);
    std::vector<std::uint8_t> pixels(6);
    read.pixels(1, pixels);
    CHECK(pixels == std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5});
    check_error([&] { read.pixels(3, pixels); }, "dataset-index", {"image 3 of 3"});
    check_error([&] { read.label(-1); }, "dataset-index", {"image -1 of 3"});
    check_error([&] { read.pixels(0, std::span(pixels).first(5)); }, "dataset-index", {"6 values", "for 5"});
  }
  CHECK(folder.entries() == 4);
}

TEST_CASE("IDX pairs that do not fit") {
  const TemporaryDirectory folder;
  write_idx_images(folder / "images", {2, 1, 1, {1, 2}});
  write_idx_labels(folder / "labels", std::vector<std::uint8_t>{0, 1, 2});
  check_error(
      [&] {
        load_idx(folder / "images", folder / "labels", {"a", "b", "c"});
      },
      "dataset-labels", {"2 images", "3 labels", "images'"});
  write_idx_labels(folder / "labels", std::vector<std::uint8_t>{0, 3});
  check_error(
      [&] {
        load_idx(folder / "images", folder / "labels", {"a", "b", "c"});
      },
      "dataset-labels", {"label 3 at index 1", "below 3"});
  check_error([&] { load_fashion_mnist(folder.path(), Split::train); }, "file-open", {"train-images-idx3-ubyte.gz"});
}

TEST_CASE("what save_idx refuses") {
  const TemporaryDirectory folder;
  ImageDataset dataset = small_dataset();
  const std::vector<Index> bad{5}, one{0};
  check_error([&] { save_idx(dataset, bad, folder.path(), Split::train); }, "dataset-index", {"image 5 of 5"});
  check_error([&] { save_idx(dataset, {}, folder.path(), Split::train); }, "idx-file", {"extent 0"});
  dataset.channels = 3;
  check_error([&] { save_idx(dataset, one, folder.path(), Split::train); }, "dataset-labels", {"grey", "3 channels"});
  CHECK(folder.entries() == 0);
}

TEST_CASE("Fashion-MNIST as Debian installs it") {
  const std::filesystem::path directory = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(directory)) {
    MESSAGE("skipped: dataset-fashion-mnist is not installed");
    return;
  }
  const ImageDataset test = load_fashion_mnist(directory, Split::test);
  CHECK(test.size() == 10'000);
  CHECK(test.height == 28);
  CHECK(test.width == 28);
  CHECK(test.label(0) == 9);
  CHECK(std::count(test.labels.begin(), test.labels.end(), 3) == 1000);
}

TEST_CASE("a folder of images") {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder / "zebra");
  std::filesystem::create_directories(folder / "ant");
  save_plain(folder / "zebra/b.PNG", 3);
  save_plain(folder / "zebra/a.png", 2);
  save_plain(folder / "ant/x.png", 1);
  write_all(folder / "ant/notes.txt", "no image");
  write_all(folder / "README", "not a class");
  const ImageDataset all = load_image_folder(folder.path(), 2, 3);
  CHECK(all.size() == 3);
  CHECK(all.class_names == std::vector<std::string>{"ant", "zebra"});
  CHECK(all.labels == std::vector<int>{0, 1, 1});
  CHECK(all.skipped.empty());
  std::vector<std::uint8_t> pixels(12);
  for (Index i = 0; i < 3; ++i) {
    all.pixels(i, pixels);
    CHECK(pixels == std::vector<std::uint8_t>(12, static_cast<std::uint8_t>(i + 1)));
  }

  write_all(folder / "zebra/aa.jpeg", "corrupt");
  check_error([&] { load_image_folder(folder.path(), 2, 3); }, "image-file", {"zebra/aa.jpeg", "neither PNG nor JPEG"});
  const ImageDataset rest = load_image_folder(folder.path(), 2, 3, OnCorrupt::skip);
  CHECK(rest.size() == 3);
  CHECK(rest.labels == std::vector<int>{0, 1, 1});
  CHECK(rest.skipped == std::vector<std::string>{(folder / "zebra/aa.jpeg").string()});
}

TEST_CASE("folders without images") {
  const TemporaryDirectory folder;
  const auto refused = [&](const std::filesystem::path& path, std::initializer_list<std::string_view> words) {
    check_error([&] { load_image_folder(path, 2, 3, OnCorrupt::skip); }, "dataset-folder", words);
  };
  refused(folder / "none", {"cannot list", "none"});
  refused(folder.path(), {folder.path().string(), "no subfolders"});
  std::filesystem::create_directories(folder / "ant");
  refused(folder.path(), {"ant' has no .png"});
  write_all(folder / "ant/a.png", "corrupt");
  refused(folder.path(), {"all 1 images", "corrupt"});
  check_error([&] { load_image_folder(folder.path(), 0, 3); }, "dataset-size", {"size 0"});
  check_error([&] { load_image_folder(folder.path(), 2, 5); }, "dataset-size", {"5 channels"});
}
