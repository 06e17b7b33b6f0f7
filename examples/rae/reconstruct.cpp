// rae reconstruct: images, and what the decoder makes of their latents.
#include "../common/fashion_score.hpp"
#include "../common/images.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "sampling.hpp"

#include <sfumato/train/latent_objective.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments, SystemArguments {
  std::string decoder, out = "reconstructions.png", report, classifier = bundled_classifier;
  Index count = 0, batch = 100;
  int shown = 40, columns = 10;
  double sigma = 0;
  std::uint64_t seed = 0;
};

template <class S> void reconstruct(const Arguments& a) {
  using Image = typename S::Decoder::ImageShape;
  require_writable(a.out);
  if (!a.report.empty()) require_writable(a.report);
  check(std::isfinite(a.sigma) && a.sigma >= 0, "options", "--sigma must be finite and not negative, found ", a.sigma);
  const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::test, S::classes, a.skip_corrupt);
  const ImageSource source(dataset);
  const Index size = a.count > 0 ? std::min(a.count, source.size()) : source.size();
  backend::Cpu cpu(a.threads);
  std::optional<FashionScorer> scorer;  // before the long work
  if constexpr (!S::official)
    if (size >= FashionScorer::least) scorer.emplace(cpu, dataset, a.classifier);
  const std::size_t most = std::min(std::size_t(a.shown), grid_limit(S::side, a.columns) / 2);
  std::vector<float> real, made;
  std::vector<int> labels;
  double l1 = 0, square = 0;
  std::vector<io::Image> grid;
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<typename S::Encoder, B, E> encoder(device);
    Weights<typename S::Decoder, B, E> decoder(device);
    load_model(a.encoder, encoder);
    load_model(a.decoder, decoder);
    require_one_encoder(encoder_of(encoder), encoder_of(a.decoder));
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, encoder.values()), painted = run.frozen(decoder.values());
    std::vector<io::Image> above, below;
    CountLine line("reconstructed", size);
    for (Index first = 0; first < size; first += a.batch) {
      const Index n = std::min(a.batch, size - first);
      std::vector<float> x(std::size_t(n * Image::row)), y(x.size());
      for (Index b = 0; b < n; ++b) labels.push_back(source.load(first + b, false, x.data() + b * Image::row));
      const auto images = ops::input<Image>(run, x);
      auto z = frozen_latents(run, encoder, images);
      if (a.sigma > 0) z = ops::combine(run, 1, z, a.sigma, ops::normal<typename S::LatentShape>(run, n, Random{a.seed, Stream::noise, 0}, first));
      ops::output(run, decoder.model().template decode<Range::signed_unit>(painted, z), std::span(y));
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double d = 0.5 * (double(x[i]) - std::clamp(double(y[i]), -1.0, 1.0));
        l1 += std::abs(d);
        square += d * d;
      }
      for (std::size_t b = 0; b < std::size_t(n) && above.size() < most; ++b) {
        constexpr auto row = std::size_t(Image::row);
        above.push_back(to_image(std::span<const float>(x).subspan(b * row, row), S::channels, S::side));
        below.push_back(to_image(std::span<const float>(y).subspan(b * row, row), S::channels, S::side, ToEightBits::truncate));
      }
      if (scorer) {
        real.insert(real.end(), x.begin(), x.end());
        std::transform(y.begin(), y.end(), std::back_inserter(made), [](float v) { return std::clamp(v, -1.0f, 1.0f); });
      }
      line(first + n);
    }
    grid = in_rows(above, below, a.columns);
  });
  io::write_png(a.out, io::grid(grid, a.columns, 2));
  const double values = double(size) * double(Image::row);
  std::string report = text(size, " images, noise ", a.sigma, " on their latents: mean |difference| ", l1 / values, ", PSNR ", 10 * std::log10(values / square), " dB\n");
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
  add_system_options(*command, *a);
  command->add_option("--decoder", a->decoder, "safetensors of the decoder")->required();
  command->add_option("--count", a->count, "so many images; 0: all")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--sigma", a->sigma, "noise on the latents")->capture_default_str();
  command->add_option("--seed", a->seed)->capture_default_str();
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
