// dsd encode: images to latents, and on request what linear classifiers and neighbours find in the encoder's tokens.
#include "../common/device.hpp"
#include "../common/images.hpp"
#include "../common/probe.hpp"
#include "../common/progress.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/io/rows_writer.hpp>
#include <sfumato/metrics/effective_rank.hpp>
#include <sfumato/metrics/knn_accuracy.hpp>

#include <algorithm>
#include <array>
#include <span>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments, DataArguments {
  std::string model = "fashion", weights, out = "latents.safetensors", split = "train", probe;
  Index batch = 100;
};

/// The mean of an image's tokens: what the class head sees.
template <class Model, class Ctx, AnyValue X> auto pooled(Ctx& run, const Model& model, const X& images) { return ops::mean<axis::tokens>(run, model.features(run, images)); }

template <class S, class Ctx> std::string probed(Ctx& run, const typename S::Model& model, const ImageSource& train, const ImageSource& test) {
  using Model = typename S::Model;
  using Image = typename Model::ImageShape;
  constexpr int pixels = int(Image::row), width = Model::width;
  std::string report = text("on ", test.size(), " test images, share named right by a linear classifier and by the 20 nearest of ", train.size(), " others:\n");
  const auto row = [&]<int Width>(const std::string& name, const auto& look) {
    LabelledFeatures known = features_of<Width, Image>(run, train, look), asked = features_of<Width, Image>(run, test, look);
    const double neighbours = metrics::knn_accuracy(metrics::rows_of(std::span<const float>(known.values), Width), known.labels, metrics::rows_of(std::span<const float>(asked.values), Width), asked.labels);
    char line[128];
    std::snprintf(line, sizeof line, "  %-28s %6.2f %%  %6.2f %%\n", text(name, " (", Width, ")").c_str(), 100 * linear_probe<Width, Model::classes>(run.device(), std::move(known), std::move(asked)), 100 * neighbours);
    report += line;
  };
  row.template operator()<pixels>("raw pixels", [&](const auto& images) { return ops::reshape<Shape<dynamic, pixels>>(run, images); });
  row.template operator()<Model::tokens * Model::latent_dim>("latents", [&](const auto& images) { return ops::reshape<Shape<dynamic, Model::tokens * Model::latent_dim>>(run, model.encode(run, images)); });
  row.template operator()<width>("the encoder's tokens, mean", [&](const auto& images) { return pooled(run, model, images); });
  return report;
}

/// Of f32 rows, token by token.
metrics::RankSigns rank_of(std::span<const std::byte> latents, Index channels) {
  metrics::RankSums sums(channels);
  const std::span<const float> values(reinterpret_cast<const float*>(latents.data()), latents.size() / sizeof(float));
  const std::size_t some = std::size_t(4096 * channels);
  for (std::size_t first = 0; first < values.size(); first += some) sums.add(metrics::rows_of(values.subspan(first, std::min(some, values.size() - first)), channels));
  return sums.signs();
}

template <class S> void encode(const Arguments& a) {
  using Model = typename S::Model;
  using Image = typename Model::ImageShape;
  check(a.batch > 0 && a.batch <= 65536, "options", "--batch must be in 1..65536, found ", a.batch);
  check(a.split == "train" || a.split == "test", "options", "--split is train or test, found '", a.split, "'");
  check(a.probe.empty() || !S::official, "options", "--probe is of fashion alone, '", a.model, "' has too many pixels");
  if (!a.probe.empty()) require_writable(a.probe);
  const auto images_of = [&](io::Split split) { return load_images<S::side, S::channels>(a.data, split, Model::classes, a.skip_corrupt); };
  const auto dataset = images_of(a.split == "train" ? io::Split::train : io::Split::test);
  const ImageSource source(dataset);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<Model, B, E> weights(device);
    load_weights(a.weights, weights);
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, weights.values());
    io::RowsWriter rows(a.out, {{"latents", io::Dtype::f32, {Model::tokens, Model::latent_dim}}, {"labels", io::Dtype::i32, {}}},
                        {{"model", a.model}, {"weights", detail::fingerprint(weights)}, {"images", text(source.size(), ", ", a.split, ", ", std::filesystem::absolute(fashion_or_bundled(a.data)).string())}});
    {
      const InterruptGuard guard;
      CountLine line("encoded", source.size());
      std::vector<float> latents;
      std::vector<std::int32_t> labels;
      while (rows.done() < source.size() && !InterruptGuard::interrupted()) {
        const Index first = rows.done(), n = std::min(a.batch, source.size() - first);
        labels.resize(std::size_t(n));
        latents.resize(std::size_t(n * Model::LatentShape::row));
        const auto images = ops::input_from<Image>(run, n, [&](E* out) {
          for (Index b = 0; b < n; ++b) labels[std::size_t(b)] = source.load(first + b, false, out + b * Image::row);
        });
        ops::output(run, weights.model().encode(run, images), std::span(latents));
        rows.append(std::array{std::as_bytes(std::span(latents)), std::as_bytes(std::span(labels))});
        line(rows.done());
      }
    }
    check(rows.done() == source.size(), "interrupted", a.out, ": stopped after ", rows.done(), " of ", source.size(), " images; the same command goes on");
    const metrics::RankSigns signs = rank_of(rows.mapped()[0].bytes(), Model::latent_dim);  // of all rows, those of an earlier run too
    rows.commit({});
    std::printf("%lld images; wrote %s\neffective rank of the latents' %d channels: %.2f (uncentred %.2f), deviations %.3f to %.3f\n", static_cast<long long>(source.size()), a.out.c_str(), Model::latent_dim, signs.eigenvalues,
                signs.uncentred, signs.smallest_deviation, signs.largest_deviation);
    if constexpr (!S::official) {
      if (a.probe.empty()) return;
      const auto train_images = images_of(io::Split::train), test_images = images_of(io::Split::test);
      const std::string report = probed<S>(run, weights.model(), ImageSource(train_images), ImageSource(test_images));
      std::printf("%s", report.c_str());
      write_text(a.probe, report);
    }
  });
}

}  // namespace

void add_encode(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("encode", "images to latents");
  add_model_option(*command, a->model);
  add_weights_option(*command, a->weights);
  add_data_options(*command, *a);
  command->add_option("--split", a->split, "train or test")->capture_default_str();
  command->add_option("--batch", a->batch, "images at once; does not change what is written")->capture_default_str();
  command->add_option("--out", a->out, "safetensors to write: latents and labels")->capture_default_str();
  command->add_option("--probe", a->probe, "text file to also write to how well labels are told by the encoder's tokens, beside raw pixels");
  add_device_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { encode<S>(*a); }); });
}

}  // namespace example
