// reg sample: a grid of images, scored where they are of Fashion-MNIST; on request one .npz for the field's evaluators.
#include "../common/device.hpp"
#include "../common/fashion_score.hpp"
#include "../common/images.hpp"
#include "../common/progress.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/flow/sampler.hpp>
#include <sfumato/io/npz.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <sstream>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments {
  std::string model = "fashion", weights, vae, grid = "samples.png", npz, report, data, solver = "sde", classifier = bundled_classifier;
  std::vector<int> labels;
  int count = 8, columns = 8;
  Index batch = 50, first = 0, balanced = 0;
  std::uint64_t seed = 0;
  double class_guidance = 0;
  std::optional<double> latent_scale;
  SamplerOptions sampler{.steps = 50, .guidance = 1};
};

template <class S> void draw(const Arguments& a) {
  using Model = typename S::Model;
  std::vector<int> labels;
  if (a.balanced > 0) {
    labels = balanced_labels(a.balanced, S::classes);
  } else {
    for (const int label : a.labels) labels.insert(labels.end(), std::size_t(a.count), label);
    for (int label = 0; a.labels.empty() && label < std::min(10, S::classes); ++label) labels.insert(labels.end(), std::size_t(a.count), label);
  }
  ops::check_labels(labels, S::classes);
  check(a.batch > 0 && a.batch <= 65536, "sampler-options", "the batch must be in 1..65536, found ", a.batch);
  check(a.solver == "sde" || a.solver == "euler" || a.solver == "heun", "sampler-options", "--solver is sde, euler or heun, found '", a.solver, "'");
  check(std::isfinite(a.class_guidance), "sampler-options", "--class-guidance must be finite, found ", a.class_guidance);
  check(Model::entangled || a.class_guidance == 0, "sampler-options", "--class-guidance is of a model with a class token, '", a.model, "' has none");
  a.sampler.validate();
  check(a.report.empty() || (!S::official && Index(labels.size()) >= FashionScorer::least), "options", "--report is of scores, which take the fashion system and at least ", FashionScorer::least, " images, found ", labels.size());
  require_writable(a.grid);
  if (!a.report.empty()) require_writable(a.report);
  const auto metadata = io::SafetensorsFile(a.weights).metadata();
  double scale = a.latent_scale.value_or(typename S::Objective{}.latent_scale);
  if (const auto kept = metadata.find("objective.latent_scale"); !a.latent_scale && kept != metadata.end()) scale = number_of(kept->second, a.weights);
  else check(a.latent_scale || S::official, "options", a.weights, " does not say its latents' scale: give --latent-scale");
  check(std::isfinite(scale) && scale > 0, "sampler-options", "the latents' scale must be finite and positive, found ", scale);
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
    Weights<Model, B, E> diffusion(device);
    Weights<typename S::VAE, B, E> vae(device);
    load_weights(a.weights, diffusion);
    load_vae(a.vae, vae);
    require_latents(metadata, a.weights, vae, "--vae");
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, diffusion.values()), painted = run.frozen(vae.values());
    const auto guide = [&] {
      if constexpr (Model::entangled) return ClassTokenGuidance<Model>{{}, a.class_guidance};
      else return ClassifierFree{};
    }();
    std::vector<float> values;
    CountLine line("drew", Index(labels.size()));
    for (std::size_t done = 0; done < labels.size(); done += std::size_t(a.batch)) {
      const auto part = std::span<const int>(labels).subspan(done, std::min(std::size_t(a.batch), labels.size() - done));
      const auto show = [&](int step) { line(Index(done), text("step ", step + 1, "/", a.sampler.steps, " of the next ", part.size())); };
      const auto by = [&]<class Method, class Grid>() {
        return sample<typename Model::ImageShape, Method, Grid>(run, diffusion.model(), typename S::Objective{}, part, a.seed, a.first + Index(done), a.sampler, show, guide);
      };
      const auto z = a.solver == "sde" ? by.template operator()<EulerMaruyama<>, LastStepGrid<>>() : a.solver == "heun" ? by.template operator()<Heun, UniformGrid>() : by.template operator()<Euler, UniformGrid>();
      const auto x = without_border<S>(painted, vae.model().decode(painted, ops::scale(painted, 1 / scale, latent_part<Model>(painted, z))));
      values.resize(std::size_t(x.size()));
      ops::output(painted, x, std::span(values));
      if (scorer) std::transform(values.begin(), values.end(), std::back_inserter(scored), [](float v) { return std::clamp(v, -1.0f, 1.0f); });
      constexpr auto row = std::size_t(S::Image::row);
      for (std::size_t i = 0; i < values.size() && (npz || shown.size() < most); i += row) {
        io::Image image = to_image(std::span<const float>(values).subspan(i, row), S::channels, S::side, ToEightBits::truncate);
        if (npz) npz->append(image.pixels);
        if (shown.size() < most) shown.push_back(std::move(image));
      }
    }
    line(Index(labels.size()));
  });
  if (npz) npz->commit();
  io::write_png(a.grid, io::grid(shown, a.columns, 2));
  std::printf("wrote %s (%zu of %zu images)\n", a.grid.c_str(), shown.size(), labels.size());
  if (scorer) {
    const Score s = scorer->score(scored, labels);
    std::ostringstream text;
    text.setf(std::ios::fixed);
    text.precision(2);
    text << labels.size() << " images, " << a.solver << " of " << a.sampler.steps << " steps, guidance " << a.sampler.guidance << ": " << 100 * s.recognised << " % recognised as their label, Frechet distance " << s.frechet
         << ", precision " << s.precision << ", recall " << s.recall << ", inception score " << s.inception << "\n";
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
  add_vae_option(*command, a->vae);
  command->add_option("--latent-scale", a->latent_scale, "of diffusion's latents; as the weights' file says, or 0.18215, if left out");
  auto* labels = command->add_option("--labels", a->labels, "classes to draw, e.g. 207,360; the first ten if left out")->delimiter(',');
  auto* count = command->add_option("--count", a->count, "images per label")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  command->add_option("--balanced", a->balanced, "so many images in all, equally many of each class")->check(CLI::PositiveNumber)->excludes(labels)->excludes(count);
  command->add_option("--solver", a->solver, "sde (Euler-Maruyama, as published), euler or heun")->capture_default_str();
  command->add_option("--steps", a->sampler.steps, "250 in the paper")->capture_default_str();
  command->add_option("--guidance", a->sampler.guidance, "scale of guidance; 1: none")->capture_default_str();
  command->add_option("--class-guidance", a->class_guidance, "scale for the class token; 0: it is not guided")->capture_default_str();
  command->add_option("--guidance-low", a->sampler.guidance_low, "guidance applies for times above this (1 is data): 0.15 for the paper's [0, 0.85]")->capture_default_str();
  command->add_option("--guidance-high", a->sampler.guidance_high, "and below this")->capture_default_str();
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
