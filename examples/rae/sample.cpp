// rae sample: a grid of images, scored where they are of Fashion-MNIST; on request one .npz for the field's evaluators.
#include "../common/fashion_score.hpp"
#include "../common/images.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "sampling.hpp"

#include <sfumato/io/npz.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <sstream>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments {
  std::string model = "fashion", weights, statistics, decoder, guide, grid = "samples.png", npz, report, data, classifier = bundled_classifier;
  std::vector<int> labels;
  int count = 8, columns = 8;
  Index batch = 50, first = 0, balanced = 0;
  std::uint64_t seed = 0;
  SamplerOptions sampler{.steps = 49, .guidance = 1};
};

template <class S> void draw(const Arguments& a) {
  std::vector<int> labels;
  if (a.balanced > 0) {
    labels = balanced_labels(a.balanced, S::classes);
  } else {
    for (const int label : a.labels) labels.insert(labels.end(), std::size_t(a.count), label);
    for (int label = 0; a.labels.empty() && label < std::min(10, S::classes); ++label) labels.insert(labels.end(), std::size_t(a.count), label);
  }
  ops::check_labels(labels, S::classes);
  check(a.batch > 0 && a.batch <= 65536, "sampler-options", "the batch must be in 1..65536, found ", a.batch);
  a.sampler.validate();
  check(a.guide.empty() || a.sampler.guidance != 1, "sampler-options", "--guide needs a --guidance other than 1, which asks no guide");
  check(a.report.empty() || (!S::official && Index(labels.size()) >= FashionScorer::least), "options", "--report is of scores, which take the fashion system and at least ", FashionScorer::least, " images, found ", labels.size());
  const KnownEncoder encoder = encoder_of(a.weights);
  for (const auto& other : {a.decoder, a.statistics}) require_one_encoder(encoder, encoder_of(other));
  require_writable(a.grid);
  if (!a.report.empty()) require_writable(a.report);
  std::optional<io::NpzWriter> npz;
  if (!a.npz.empty()) npz.emplace(a.npz, std::array<Index, 4>{Index(labels.size()), S::side, S::side, S::channels});
  backend::Cpu cpu(a.threads);
  std::optional<FashionScorer> scorer;  // before the long work
  if constexpr (!S::official)
    if (Index(labels.size()) >= FashionScorer::least) scorer.emplace(cpu, io::load_fashion_mnist(fashion_or_bundled(a.data), io::Split::test), a.classifier);
  std::vector<io::Image> shown;
  std::vector<float> scored;
  const std::size_t most = grid_limit(S::side, a.columns);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Drawer<S, B, E> drawer(device);
    load_model(a.weights, drawer.diffusion);
    load_model(a.decoder, drawer.decoder);
    read_statistics(a.statistics, drawer.scale);
    const auto consume = [&](std::span<const float> values) {
      if (scorer) std::transform(values.begin(), values.end(), std::back_inserter(scored), [](float v) { return std::clamp(v, -1.0f, 1.0f); });
      if (shown.size() >= most && !npz) return;
      for (io::Image& image : as_images<S>(values)) {
        if (npz) npz->append(image.pixels);
        if (shown.size() < most) shown.push_back(std::move(image));
      }
    };
    if (a.guide.empty()) {
      drawer.draw(labels, a.seed, a.first, a.batch, a.sampler, ClassifierFree{}, consume);
    } else {
      using Weak = std::conditional_t<S::official, DiTDH_S<S::Encoder::token_dim, S::Encoder::grid>, FashionGuide>;
      Weights<Weak, B, E> weak(device);
      load_model(a.guide, weak);
      drawer.draw(labels, a.seed, a.first, a.batch, a.sampler, AutoGuidance{weak.model(), weak.values()}, consume);
    }
  });
  if (npz) npz->commit();
  io::write_png(a.grid, io::grid(shown, a.columns, 2));
  std::printf("wrote %s (%zu of %zu images)\n", a.grid.c_str(), shown.size(), labels.size());
  if (scorer) {
    const Score s = scorer->score(scored, labels);
    std::ostringstream text;
    text.setf(std::ios::fixed);
    text.precision(2);
    text << labels.size() << " images, guidance " << a.sampler.guidance << (a.guide.empty() ? "" : " away from a weaker model") << ": " << 100 * s.recognised
         << " % recognised as their label, Frechet distance " << s.frechet << ", precision " << s.precision << ", recall " << s.recall << ", inception score " << s.inception << "\n";
    std::printf("%s", text.str().c_str());
    if (!a.report.empty()) write_text(a.report, text.str());
  }
}

}  // namespace

void add_sample(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("sample", "draw images from noise");
  add_model_option(*command, a->model);
  command->add_option("--weights", a->weights, "safetensors of the diffusion model")->required();
  command->add_option("--statistics", a->statistics, "safetensors of the latents' statistics")->required();
  command->add_option("--decoder", a->decoder, "safetensors of the decoder")->required();
  auto* labels = command->add_option("--labels", a->labels, "classes to draw, e.g. 207,360; the first ten if left out")->delimiter(',');
  auto* count = command->add_option("--count", a->count, "images per label")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  command->add_option("--balanced", a->balanced, "so many images in all, equally many of each class")->check(CLI::PositiveNumber)->excludes(labels)->excludes(count);
  command->add_option("--steps", a->sampler.steps, "Euler steps on the shifted grid")->capture_default_str();
  command->add_option("--guidance", a->sampler.guidance, "scale of guidance; 1: none")->capture_default_str();
  command->add_option("--guidance-low", a->sampler.guidance_low, "guidance applies for times above this (1 is data)")->capture_default_str();
  command->add_option("--guidance-high", a->sampler.guidance_high, "and below this")->capture_default_str();
  command->add_option("--guide", a->guide, "weights of a weaker model (train --guide): AutoGuidance instead of the null class");
  command->add_option("--seed", a->seed)->capture_default_str();
  command->add_option("--first", a->first, "number of the first image: each has its own noise")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--batch", a->batch, "images drawn at once; does not change them")->capture_default_str();
  command->add_option("--out", a->grid, "PNG grid to write, of all images or the first ones")->capture_default_str();
  command->add_option("--columns", a->columns, "of the grid")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--npz", a->npz, "file to also write all images to, as uint8 NHWC `arr_0`");
  command->add_option("--data", a->data, "fashion: folder with the test set that the images are compared with")->check(folder_named);
  command->add_option("--classifier", a->classifier, "fashion: the classifier that scores them")->capture_default_str();
  command->add_option("--report", a->report, "fashion: text file to also write the scores to");
  add_device_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { draw<S>(*a); }); });
}

}  // namespace example
