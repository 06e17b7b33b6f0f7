// rae encode-stats: mean and variance of an encoder's latents over a data set.
#include "../common/device.hpp"
#include "../common/images.hpp"
#include "../common/progress.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/latent_statistics.hpp>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments, SystemArguments {
  std::string out = "out/statistics.safetensors";
  Index batch = 100, most = 0;
  std::uint64_t seed = 0;
  bool without_mean = false, flip = false;
};

template <class S> void encode(const Arguments& a) {
  if (const auto folder = std::filesystem::path(a.out).parent_path(); !folder.empty()) make_folder(folder);
  require_writable(a.out);
  check(a.batch > 0 && a.most >= 0, "options", "--batch must be positive and --most not negative, found ", a.batch, " and ", a.most);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<typename S::Encoder, B, E> encoder(device);
    load_model(a.encoder, encoder);
    const auto dataset = load_images<S::side, S::channels>(a.data, io::Split::train, S::classes, a.skip_corrupt);
    const ImageSource source(dataset);
    using Image = typename S::Decoder::ImageShape;
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, encoder.values());
    LatentStatistics<S::Encoder::tokens, S::Encoder::token_dim> statistics;
    const Index size = a.most > 0 ? std::min(a.most, source.size()) : source.size();
    ShuffledOrder order(source.size(), a.seed);  // the first ones of a folder are all of one class
    const Random flips{a.seed, Stream::flip, 0};
    std::vector<float> latents;
    CountLine line("encoded", size);
    for (Index first = 0; first < size; first += a.batch) {
      const Index n = std::min(a.batch, size - first);
      const auto images = ops::input_from<Image>(run, n, [&](E* out) {
        for (Index b = 0; b < n; ++b) source.load(order.at(first + b), a.flip && (flips.bits(std::uint64_t(first + b)) & 1u), out + b * Image::row);
      });
      const auto z = frozen_latents(run, encoder, images);
      latents.resize(std::size_t(z.size()));
      ops::output(run, z, std::span(latents));
      statistics.add(latents);
      line(first + n);
    }
    const KnownEncoder known = encoder_of(encoder);
    statistics.save(a.out, !a.without_mean, {{"element", known.element}, {"objective.encoder", known.norm}});
    const auto variance = statistics.variance();
    const auto [low, high] = std::minmax_element(variance.begin(), variance.end());
    std::printf("%lld latents: variance %.4g to %.4g, mean %.4g; wrote %s\n", static_cast<long long>(statistics.count()), *low, *high,
                std::accumulate(variance.begin(), variance.end(), 0.0) / double(variance.size()), a.out.c_str());
  });
}

}  // namespace

void add_encode_stats(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("encode-stats", "mean and variance of an encoder's latents");
  add_system_options(*command, *a);
  command->add_option("--out", a->out, "file to write")->capture_default_str();
  command->add_option("--batch", a->batch, "images encoded at once")->capture_default_str();
  command->add_option("--most", a->most, "only so many images, picked at random; 0: all")->capture_default_str();
  command->add_option("--seed", a->seed, "of what --most picks and --flip turns")->capture_default_str();
  command->add_flag("--without-mean", a->without_mean, "variances alone, as published for DINOv2-B");
  command->add_flag("--flip", a->flip, "random horizontal flips, for a diffusion model that is trained with them");
  add_device_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { encode<S>(*a); }); });
}

}  // namespace example
