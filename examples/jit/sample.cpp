// jit sample: a grid of images, and on request each image and one .npz for the field's evaluators.
#include "../common/images.hpp"
#include "commands.hpp"
#include "sampling.hpp"

#include <algorithm>
#include <optional>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : SamplingArguments {
  std::vector<int> labels;
  int count = 1, columns = 8;
  std::string grid = "samples.png", images, npz;
};

template <class Model> void draw_and_save(const Arguments& a) {
  std::vector<int> labels;
  for (const int label : a.labels) {
    check(label >= 0 && label < Model::classes, "label-range", "label ", label, " is outside 0..", Model::classes - 1);
    labels.insert(labels.end(), static_cast<std::size_t>(a.count), label);
  }
  // What cannot be written is said before the drawing, not after it.
  if (!a.images.empty()) make_folder(a.images);
  require_writable(a.grid);
  std::optional<io::NpzWriter> npz;
  if (!a.npz.empty()) npz.emplace(a.npz, std::array<Index, 4>{Index(labels.size()), image_size<Model>, image_size<Model>, image_channels<Model>});

  std::vector<io::Image> shown;
  std::size_t drawn = 0;
  draw<Model>(a, labels, [&](std::span<const float> values) {
    for (io::Image& image : as_images<Model>(values)) {
      if (npz) npz->append(image.pixels);
      if (!a.images.empty()) io::write_png(std::filesystem::path(a.images) / (std::to_string(a.first + Index(drawn)) + ".png"), image);
      if (shown.size() < grid_limit(image_size<Model>, a.columns)) shown.push_back(std::move(image));
      ++drawn;
    }
  });
  if (npz) npz->commit();
  io::write_png(a.grid, io::grid(shown, a.columns, 2));
  std::printf("wrote %s (%zu of %zu images)\n", a.grid.c_str(), shown.size(), drawn);
}

}  // namespace

void add_sample(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("sample", "draw images with trained weights");
  add_sampling_options(*command, *a);
  command->add_option("--labels", a->labels, "classes to draw, e.g. 207,360")->delimiter(',')->required();
  command->add_option("--count", a->count, "images per label")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  command->add_option("--guidance", a->sampler.guidance, "classifier-free guidance; 1: none")->capture_default_str();
  command->add_option("--out", a->grid, "PNG grid to write, of all images or the first ones")->capture_default_str();
  command->add_option("--columns", a->columns, "of the grid")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--images", a->images, "folder to also write each image to");
  command->add_option("--npz", a->npz, "file to also write all images to, as uint8 NHWC `arr_0`");
  command->callback([a] { with_model(a->model, [&]<class Model>() { draw_and_save<Model>(*a); }); });
}

}  // namespace example
