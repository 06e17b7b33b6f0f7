// reg prepare: images to the autoencoder's latents and the teacher's tokens, in one file; interrupted, it goes on where it was.
#include "../common/device.hpp"
#include "../common/images.hpp"
#include "../common/progress.hpp"
#include "commands.hpp"
#include "models.hpp"
#include "options.hpp"

#include <sfumato/io/rows_writer.hpp>
#include <sfumato/train/image_source.hpp>
#include <sfumato/train/loop.hpp>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : DeviceArguments, SystemArguments {
  std::string teacher, out = "out/latents.safetensors", split = "train";
  Index batch = 100, most = 0, stop_after = 0;
};

/// Of all values that are drawn from Gaussians of these moments, (n, means then deviations), together.
template <class Bytes> double latent_deviation(const Bytes& moments, Index values) {
  const std::span all(reinterpret_cast<const float*>(moments.data()), moments.size() / sizeof(float));
  double sum = 0, squares = 0;
  Index count = 0;
  for (std::size_t row = 0; row < all.size(); row += std::size_t(2 * values))
    for (std::size_t i = 0; i < std::size_t(values); ++i, ++count) {
      const double mean = all[row + i], deviation = all[row + std::size_t(values) + i];
      sum += mean;
      squares += mean * mean + deviation * deviation;
    }
  const double mean = sum / double(count);
  return std::sqrt(squares / double(count) - mean * mean);
}

template <class S> void prepare(const Arguments& a) {
  check(a.batch > 0 && a.most >= 0 && a.stop_after >= 0, "options", "--batch must be positive, --most and --stop-after not negative, found ", a.batch, ", ", a.most, " and ", a.stop_after);
  check(a.split == "train" || a.split == "test", "options", "--split is train or test, found '", a.split, "'");
  if (const auto folder = std::filesystem::path(a.out).parent_path(); !folder.empty()) make_folder(folder);
  require_writable(a.out);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    using VAE = typename S::VAE;
    using Teacher = typename S::Teacher;
    constexpr Index latent = VAE::LatentShape::row, tokens = Index{1 + Teacher::tokens} * Teacher::width;
    Weights<VAE, B, E> vae(device);
    Weights<Teacher, B, E> teacher(device);
    load_vae(a.vae, vae);
    load_teacher(a.teacher, teacher);
    const auto dataset = load_images<S::side, S::channels>(a.data, a.split == "train" ? io::Split::train : io::Split::test, S::classes, a.skip_corrupt);
    const ImageSource source(dataset);
    const auto bordered_source = bordered<S>(source);
    const Index size = a.most > 0 ? std::min(a.most, source.size()) : source.size();

    io::RowsWriter rows(a.out,
                        {{"moments", io::Dtype::f32, {2 * VAE::latent_channels, VAE::latent_size, VAE::latent_size}}, {"tokens", io::Dtype::bf16, {1 + Teacher::tokens, Teacher::width}}, {"labels", io::Dtype::i32, {}}},
                        {{"objective.latents", latents_of(vae)}, {"objective.teacher", detail::fingerprint(teacher)}, {"element", element_name<E>()}, {"model", a.model},
                         {"images", text(size, " of ", source.size(), ", ", a.split, a.skip_corrupt ? ", damaged ones left out, " : ", ", std::filesystem::absolute(fashion_or_bundled(a.data)).string())}});
    if (rows.done() > 0) std::fprintf(stderr, "going on after %lld images\n", static_cast<long long>(rows.done()));
    const InterruptGuard guard;
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, vae.values()), seen = run.frozen(teacher.values());
    std::vector<float> moments, means(std::size_t(a.batch * latent)), deviations(means.size());
    std::vector<bf16> teachers;
    std::vector<std::int32_t> labels;
    CountLine line("prepared", size);
    Index made = 0;
    while (rows.done() < size && !InterruptGuard::interrupted() && (a.stop_after == 0 || made < a.stop_after)) {
      const Index first = rows.done(), n = std::min(a.batch, size - first);
      moments.resize(std::size_t(2 * n * latent));
      teachers.resize(std::size_t(n * tokens));
      labels.resize(std::size_t(n));
      const auto images = ops::input_from<typename VAE::ImageShape>(run, n, [&](E* out) {
        for (Index b = 0; b < n; ++b) labels[std::size_t(b)] = bordered_source.load(first + b, false, out + b * VAE::ImageShape::row);
      });
      const auto posterior = vae.model().encode(run, images);
      const std::span mean(means.data(), std::size_t(n * latent)), deviation(deviations.data(), mean.size());
      ops::output(run, posterior.mean, mean);
      ops::output(run, posterior.deviation(run), deviation);
      for (Index b = 0; b < n; ++b) {
        std::copy_n(means.data() + b * latent, latent, moments.data() + 2 * b * latent);
        std::copy_n(deviations.data() + b * latent, latent, moments.data() + (2 * b + 1) * latent);
      }
      const auto looked = without_border<S>(seen, images);
      const auto told = teacher.model().with_class_token(seen, teacher.model().template normalise<Range::signed_unit>(seen, looked));
      std::vector<float> values(teachers.size());
      ops::output(run, told, std::span(values));
      std::transform(values.begin(), values.end(), teachers.begin(), [](float v) { return bf16(v); });
      const std::array parts{std::as_bytes(std::span(moments)), std::as_bytes(std::span(teachers)), std::as_bytes(std::span(labels))};
      rows.append(parts);
      made += n;
      line(rows.done());
    }
    check(rows.done() == size, "interrupted", a.out, ": stopped after ", rows.done(), " of ", size, " images; the same command goes on");
    const double deviation = latent_deviation(rows.mapped()[0].bytes(), latent);
    char digits[32];
    const std::string scale = S::official ? "0.18215" : std::string(digits, std::to_chars(digits, digits + sizeof digits, 1 / deviation, std::chars_format::general, 9).ptr);
    rows.commit({{"latent_scale", scale}});
    std::printf("%lld images: latents of deviation %.4g, scale %s; wrote %s\n", static_cast<long long>(size), deviation, scale.c_str(), a.out.c_str());
  });
}

}  // namespace

void add_prepare(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("prepare", "images to latents and a teacher's tokens");
  add_model_option(*command, a->model);
  add_vae_option(*command, a->vae);
  command->add_option("--teacher", a->teacher, "safetensors of the teacher: of pretrain_encoder, or official (DINOv2 ViT-B/14)")->required();
  add_data_options(*command, *a);
  command->add_option("--split", a->split, "train or test")->capture_default_str();
  command->add_option("--out", a->out, "file to write")->capture_default_str();
  command->add_option("--batch", a->batch, "images at once; does not change what is written")->capture_default_str();
  command->add_option("--most", a->most, "only the first so many images; 0: all")->capture_default_str();
  command->add_option("--stop-after", a->stop_after, "stop after so many images, to go on later; 0: at the end")->capture_default_str();
  add_device_options(*command, *a);
  command->callback([a] {
    with_system(a->model, [&]<class S>() { prepare<S>(*a); });
  });
}

}  // namespace example
