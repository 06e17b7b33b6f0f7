// jit sample: a grid of images, and on request each image and one .npz for the field's evaluators.
#include "commands.hpp"
#include "sampling.hpp"

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
  const auto images = as_images<Model>(draw<Model>(a, labels));
  io::write_png(a.grid, io::grid(images, a.columns, 2));
  std::printf("wrote %s (%zu images)\n", a.grid.c_str(), images.size());
  if (!a.images.empty()) {
    std::filesystem::create_directories(a.images);
    for (std::size_t i = 0; i < images.size(); ++i) io::write_png(std::filesystem::path(a.images) / (std::to_string(i) + ".png"), images[i]);
  }
  if (!a.npz.empty()) {
    std::vector<std::uint8_t> bytes;
    for (const auto& image : images) bytes.insert(bytes.end(), image.pixels.begin(), image.pixels.end());
    io::write_npz(a.npz, bytes, std::array<Index, 4>{Index(images.size()), image_size<Model>, image_size<Model>, image_channels<Model>});
  }
}

}  // namespace

void add_sample(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("sample", "draw images with trained weights");
  add_sampling_options(*command, *a);
  command->add_option("--labels", a->labels, "classes to draw, e.g. 207,360")->delimiter(',')->required();
  command->add_option("--count", a->count, "images per label")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--guidance", a->sampler.guidance, "classifier-free guidance; 1: none")->capture_default_str();
  command->add_option("--out", a->grid, "PNG grid to write")->capture_default_str();
  command->add_option("--columns", a->columns, "of the grid")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--images", a->images, "folder to also write each image to");
  command->add_option("--npz", a->npz, "file to also write all images to, as uint8 NHWC `arr_0`");
  command->callback([a] { with_model(a->model, [&]<class Model>() { draw_and_save<Model>(*a); }); });
}

}  // namespace example
