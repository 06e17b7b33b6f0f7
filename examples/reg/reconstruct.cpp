// reg reconstruct: images, and what the autoencoder makes of them.
#include "../common/device.hpp"
#include "../common/fashion_score.hpp"
#include "../common/images.hpp"
#include "../common/progress.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments, SystemArguments {
  std::string out = "reconstructions.png", report, classifier = bundled_classifier;
  Index count = 0, batch = 50;
  int shown = 40, columns = 10;
};

template <class S> void reconstruct(const Arguments& a) {
  using VAE = typename S::VAE;
  constexpr auto row = std::size_t(S::Image::row);
  require_writable(a.out);
  if (!a.report.empty()) require_writable(a.report);
  const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::test, S::classes, a.skip_corrupt);
  const ImageSource source(dataset);
  const auto bordered_source = bordered<S>(source);
  const Index size = a.count > 0 ? std::min(a.count, source.size()) : source.size();
  backend::Cpu cpu(a.threads);
  std::optional<FashionScorer> scorer;  // before the long work
  if constexpr (!S::official)
    if (size >= FashionScorer::least) scorer.emplace(cpu, dataset, a.classifier);
  const std::size_t most = std::min(std::size_t(a.shown), grid_limit(S::side, a.columns) / 2);
  std::vector<float> real, made;
  std::vector<int> labels;
  double l1 = 0, square = 0;
  std::vector<io::Image> above, below;
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<VAE, B, E> vae(device);
    load_vae(a.vae, vae);
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, vae.values());
    CountLine line("reconstructed", size);
    for (Index first = 0; first < size; first += a.batch) {
      const Index n = std::min(a.batch, size - first);
      const auto images = ops::input_from<typename VAE::ImageShape>(run, n, [&](E* out) {
        for (Index b = 0; b < n; ++b) labels.push_back(bordered_source.load(first + b, false, out + b * VAE::ImageShape::row));
      });
      std::vector<float> x(std::size_t(n) * row), y(x.size());
      ops::output(run, without_border<S>(run, images), std::span(x));
      ops::output(run, without_border<S>(run, vae.model().decode(run, vae.model().encode(run, images).mean)), std::span(y));
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double d = 0.5 * (double(x[i]) - std::clamp(double(y[i]), -1.0, 1.0));
        l1 += std::abs(d);
        square += d * d;
      }
      for (std::size_t b = 0; b < std::size_t(n) && above.size() < most; ++b) {
        above.push_back(to_image(std::span<const float>(x).subspan(b * row, row), S::channels, S::side));
        below.push_back(to_image(std::span<const float>(y).subspan(b * row, row), S::channels, S::side, ToEightBits::truncate));
      }
      if (scorer) {
        real.insert(real.end(), x.begin(), x.end());
        std::transform(y.begin(), y.end(), std::back_inserter(made), [](float v) { return std::clamp(v, -1.0f, 1.0f); });
      }
      line(first + n);
    }
  });
  io::write_png(a.out, io::grid(in_rows(above, below, a.columns), a.columns, 2));
  const double values = double(size) * double(row);
  std::string report = text(size, " images: mean |difference| ", l1 / values, ", PSNR ", 10 * std::log10(values / square), " dB\n");
  if (scorer) {
    const Score of_real = scorer->score(real, labels), of_made = scorer->score(made, labels);
    report += text("recognised as their label: ", 100 * of_real.recognised, " % of the images, ", 100 * of_made.recognised, " % of the reconstructions; Frechet distance between them ", of_made.frechet, "\n");
  }
  std::printf("%swrote %s\n", report.c_str(), a.out.c_str());
  if (!a.report.empty()) write_text(a.report, report);
}

}  // namespace

void add_reconstruct(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("reconstruct", "decode the latents of images");
  add_model_option(*command, a->model);
  add_vae_option(*command, a->vae);
  add_data_options(*command, *a);
  command->add_option("--count", a->count, "so many images; 0: all")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--batch", a->batch)->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--out", a->out, "PNG grid to write: rows of images, below each its reconstructions")->capture_default_str();
  command->add_option("--shown", a->shown, "images in it")->capture_default_str()->check(CLI::Range(1, 10'000));
  command->add_option("--columns", a->columns, "of the grid")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--classifier", a->classifier, "fashion: the classifier that scores them")->capture_default_str();
  command->add_option("--report", a->report, "text file to also write the figures to");
  add_device_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { reconstruct<S>(*a); }); });
}

}  // namespace example
