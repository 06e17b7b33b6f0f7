// DSD's objective: its gradients, which term's reach which part. (The identities behind it: dsd_identities.cpp.)
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/metrics/effective_rank.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/train/adversary.hpp>
#include <sfumato/train/dsd_trainer.hpp>

#include "check_error.hpp"
#include "model_gradient.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

using namespace train_test;
using backend::Reference;

namespace {

using Teacher = VisionEncoder<EncoderInput<8, 4, 2, Interpolation::cubic, GreyColours>, Transformer<6, 1, LayerNorm, GELU, Heads<1>>, LayerNormNoAffine, false>;
using Small = DSD<ImagePatches<8, 1, 4, 3>, Transformer<16, 2, LayerNorm, GELU, Heads<2>>, 5>;
using Whole = DSD<ImagePatches<8, 1, 4, 3>, Transformer<16, 2, LayerNorm, GELU, Heads<2>>, 5, Alignment<1, 6, 8>, SelfAlignment<1, 2, 8>>;

std::vector<double> pictures(std::size_t n) {
  std::vector<double> out(n * 64);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::cos(0.37 * double(i) + 0.2 * double(i / 64));
  return out;
}
}  // namespace

namespace {

using Perceptual = FeatureDistance<Teacher, Reference, double, 0>;
template <class Design, class Distance = Perceptual, class Of = Teacher> using ObjectiveOf = DSDObjective<Design, Reference, double, UniformBetween<std::ratio<0>, std::ratio<19, 20>>, Distance, Of>;
constexpr std::array<const char*, 8> term_names{"reconstruction", "perceptual", "adversarial", "distillation", "velocity head", "classification", "alignment", "self-alignment"};
template <class O> void weigh(O& o, std::size_t only, double weight = 1) {
  double* const weights[] = {&o.reconstruction_weight, &o.perceptual_weight, &o.distillation_weight, &o.velocity_weight, &o.class_weight, &o.alignment_weight, &o.self_alignment_weight};
  for (std::size_t i = 0; i < 7; ++i) *weights[i] = i == only ? weight : 0;
}

/// Parts of a DSD, by how its parameters' names begin.
struct Part {
  const char* name;
  std::vector<std::string> begins;
};
const std::vector<Part> parts{{"trunk", {"blocks."}},
                              {"image embedding, encode mode", {"x_embedder.", "modes.encode"}},
                              {"last norm", {"norm."}},
                              {"latent head", {"latent_head."}},
                              {"latent embedding", {"z_embedder."}},
                              {"decode mode, image head", {"modes.decode", "image_head."}},
                              {"denoise mode, time, label", {"modes.denoise", "t_embedder.", "y_embedder."}},
                              {"diffusion head", {"diffusion_head."}},
                              {"velocity head", {"velocity_embedder.", "velocity_head."}},
                              {"class head", {"class_head."}},
                              {"projector", {"projector."}},
                              {"self-projector", {"self_projector."}}};

struct Bench {
  Reference device;
  Weights<Whole, Reference, double> weights{device, 5}, averaged{device, 6};
  Weights<Teacher, Reference, double> teacher{device, 7};
  Weights<Discriminator<Teacher, 3, 0>, Reference, double> watcher{device, 8};
  std::vector<double> x = pictures(3);
  std::vector<int> labels{0, 2, 1};

  Bench() {
    for (auto* of : {&weights, &averaged}) {  // nothing stands behind zeros
      std::vector<double> host(std::size_t(of->size()));
      of->values().download(host);
      for (const ParameterInfo& p : parameter_table(of->model()))
        for (Index i = 0; i < p.size && !p.frozen; ++i) host[std::size_t(p.offset + i)] += 0.2 * std::sin(0.7 * double(p.offset + i));
      of->values().upload(host);
    }
  }
  template <class O> O objective() {
    O o;
    o.averaged = &averaged.values();
    if constexpr (requires { o.distance.net; }) o.distance = {&teacher};
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(*o.teacher)>, Weights<Teacher, Reference, double>>) o.teacher = &teacher;
    o.view = {.mask = 0.4, .shift = 0.25, .colour = 0.5};
    o.noise = 0.5;
    return o;
  }
  /// The gradient of every parameter.
  template <class O> std::vector<double> gradient(const O& objective) {
    Workspace<Reference> workspace(device);
    Tape<Reference, double> tape(workspace);
    Array<Reference, double> gradients(device, weights.size());
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, weights.values(), gradients, StepRandom{3, 1, 0});
    ctx.backward(objective.loss(ctx, weights.model(), ops::input<Whole::ImageShape>(ctx, std::span<const double>(x)), labels));
    std::vector<double> out(std::size_t(weights.size()));
    gradients.download(out);
    return out;
  }
  bool reaches(const std::vector<double>& gradient, const Part& part) const {
    bool any = false;
    for (const ParameterInfo& p : parameter_table(weights.model()))
      for (const auto& begin : part.begins)
        if (p.name.starts_with(begin))
          for (Index i = 0; i < p.size; ++i) any = any || gradient[std::size_t(p.offset + i)] != 0;
    return any;
  }
};

/// The table of docs/dsd.md.
template <class Design> std::string routes() {
  Bench bench;
  std::string out = "| |";
  for (const char* term : term_names) out += text(" ", term, " |");
  out += "\n|---|";
  for (std::size_t i = 0; i < term_names.size(); ++i) out += "---|";
  std::vector<std::vector<double>> gradients;
  for (std::size_t term = 0; term < term_names.size(); ++term) {
    if (term == 2) {
      using Watcher = Discriminator<Teacher, 3, 0>;
      auto o = bench.objective<DSDObjective<Design, Reference, double, UniformBetween<std::ratio<0>, std::ratio<19, 20>>, None, None, AdversarialLoss<Watcher, Reference, double>>>();
      weigh(o, 7);  // none of the others
      o.adversary = {&bench.teacher, &bench.watcher.model(), &bench.watcher.values()};
      o.adversarial.adaptive = 1;
      gradients.push_back(bench.gradient(o));
    } else if (term == 1) {
      auto o = bench.objective<DSDObjective<Design, Reference, double, UniformBetween<std::ratio<0>, std::ratio<19, 20>>, Perceptual>>();
      weigh(o, term);
      gradients.push_back(bench.gradient(o));
    } else if (term == 6) {
      auto o = bench.objective<DSDObjective<Design, Reference, double, UniformBetween<std::ratio<0>, std::ratio<19, 20>>, None, Teacher>>();
      weigh(o, term - 1);
      gradients.push_back(bench.gradient(o));
    } else {
      auto o = bench.objective<DSDObjective<Design, Reference, double>>();
      weigh(o, term > 2 ? term - 1 : term);
      gradients.push_back(bench.gradient(o));
    }
  }
  for (const Part& part : parts) {
    out += text("\n| ", part.name, " |");
    for (const auto& gradient : gradients) out += bench.reaches(gradient, part) ? " yes |" : " - |";
  }
  return out + "\n";
}

}  // namespace

TEST_CASE("DSD: which term's gradient reaches which part, as docs/dsd.md prints it") {
  const std::string table = routes<SelfDistillation<>>();
  std::ifstream page(std::filesystem::path(SFUMATO_TESTS_DIR) / "../docs/dsd.md");
  std::stringstream all;
  all << page.rdbuf();
  INFO(table);
  CHECK(all.str().find(table) != std::string::npos);
  // The routes that the method stands on, said again by hand.
  const auto cell = [&](const std::string& of, const char* part, const char* term) {
    std::istringstream lines(of);
    std::string line, header;
    std::getline(lines, header);
    const auto column = [](const std::string& row, std::size_t k) {
      std::istringstream cells(row);
      std::string c;
      for (std::size_t i = 0; i <= k + 1; ++i) std::getline(cells, c, '|');
      return c;
    };
    std::size_t k = 0;
    while (column(header, k) != text(" ", term, " ")) ++k;
    while (std::getline(lines, line) && column(line, 0) != text(" ", part, " ")) {}
    return column(line, k) == " yes ";
  };
  CHECK(cell(table, "latent head", "distillation"));  // through z_t: only the target is stopped
  CHECK(cell(table, "trunk", "distillation"));
  CHECK(!cell(table, "trunk", "velocity head"));
  CHECK(!cell(table, "latent head", "velocity head"));
  CHECK(!cell(table, "denoise mode, time, label", "velocity head"));
  CHECK(cell(table, "velocity head", "velocity head"));
  CHECK(!cell(table, "velocity head", "distillation"));
  // With a velocity head that is not detached its gradient goes where the method must not have it.
  CHECK(cell(routes<SelfDistillation<Space::x, Target::averaged, false, Waive<rule::detached_velocity>>>(), "latent head", "velocity head"));
}

TEST_CASE("DSD: gradients of the whole loss are those of central differences") {
  Bench bench;
  const auto check_all = [&]<class O>(std::type_identity<O>, const std::string& unseen) {
    O o = bench.objective<O>();
    const double weights[] = {1, 0.5, 0.7, 0.4, 0.3, 0.2, 0.6};
    o.reconstruction_weight = weights[0], o.perceptual_weight = weights[1], o.distillation_weight = weights[2], o.velocity_weight = weights[3], o.class_weight = weights[4], o.alignment_weight = weights[5], o.self_alignment_weight = weights[6];
    check_model_gradient<Whole>([&](auto& ctx, const Whole& model) { return o.loss(ctx, model, ops::input<Whole::ImageShape>(ctx, std::span<const double>(bench.x)), bench.labels); }, 1e-7, unseen);
  };
  // Central differences see the target move only where its gradient flows: with averaged weights it does not.
  check_all(std::type_identity<ObjectiveOf<SelfDistillation<Space::x, Target::averaged, false, Waive<rule::detached_velocity>>>>{}, "latent_head.bias");  // batch norm takes it out
  // And the target moves where its gradient does flow. Without the velocity's loss, whose own target is stopped; its head is seen apart.
  auto o = bench.objective<ObjectiveOf<SelfDistillation<Space::v, Target::flowing, false, Waive<rule::latent_variance>, Waive<rule::rank_differentiation>, Waive<rule::detached_velocity>>>>();
  o.velocity_weight = 0, o.perceptual_weight = 0.5, o.distillation_weight = 0.7, o.class_weight = 0.3, o.alignment_weight = 0.2, o.self_alignment_weight = 0.6;
  check_model_gradient<Whole>([&](auto& ctx, const Whole& model) {
    const std::vector<double> times{0.1, 0.5, 0.8};
    const auto z = ops::input<Whole::LatentShape>(ctx, std::span<const double>(bench.x).first(std::size_t(3 * Whole::LatentShape::row)));
    const auto velocity = model.template velocity_of<false>(ctx, z, model.denoised(ctx, z, times, bench.labels));
    return ops::combine(ctx, 1, o.loss(ctx, model, ops::input<Whole::ImageShape>(ctx, std::span<const double>(bench.x)), bench.labels), 0.3, ops::mean_all(ctx, ops::multiply(ctx, velocity, velocity)));
  }, 1e-7, "latent_head.bias");
}

TEST_CASE("DSD: a target that flows sends the encoder another gradient, and the diffusion head the same") {
  Bench bench;
  const auto of = [&]<class Design>(std::type_identity<Design>) {
    auto o = bench.objective<DSDObjective<Design, Reference, double>>();
    o.view = {.mask = 0};
    weigh(o, 2);
    return bench.gradient(o);
  };
  const auto stopped = of(std::type_identity<SelfDistillation<Space::x, Target::stopped>>{}), flowing = of(std::type_identity<SelfDistillation<Space::x, Target::flowing, true, Waive<rule::latent_variance>>>{});
  std::vector<double> difference;
  for (std::size_t i = 0; i < stopped.size(); ++i) difference.push_back(flowing[i] - stopped[i]);
  for (const Part& part : parts) {
    INFO(part.name);
    const std::string name = part.name;
    CHECK(bench.reaches(difference, part) == (name == "trunk" || name == "image embedding, encode mode" || name == "last norm" || name == "latent head"));
  }
}

TEST_CASE("DSD: self-distillation and the velocity's loss are what they say, worked out from the model's own parts") {
  Bench bench;
  Workspace<Reference> workspace(bench.device);
  const auto same = [&]<class Design>(std::type_identity<Design>, DistillationWeight by) {
    auto o = bench.objective<DSDObjective<Design, Reference, double>>();
    weigh(o, 2);
    o.view = {.mask = 0};
    o.label_dropout = 0;
    o.time_weight = by;
    Tape<Reference, double> tape(workspace);
    Record<Reference, double> ctx(tape, bench.weights.values(), nullptr, StepRandom{3, 1, 0});
    const auto images = ops::input<Whole::ImageShape>(ctx, std::span<const double>(bench.x));
    const auto numbers = [&](const auto& value) {
      std::vector<double> out(std::size_t(value.size()));
      ops::output(ctx, value, std::span(out));
      return out;
    };
    const Whole& model = bench.weights.model();
    const auto latents = [&](auto& c) { return ops::batch_norm(c, model.latent_head(c, model.features(c, images)), 1e-5).normed; };
    auto frozen = ctx.frozen(bench.averaged.values());
    const auto times = detail::drawn_times<UniformBetween<std::ratio<0>, std::ratio<19, 20>>>(ctx, 3);
    const std::span<const double> t{times.data(), times.size()};
    const auto z1 = numbers(latents(ctx)), z2 = Design::target == Target::averaged ? numbers(latents(frozen)) : z1;
    const auto e = numbers(ops::normal<Whole::LatentShape>(ctx, 3, detail::stream(ctx, Stream::noise), 0));
    std::vector<double> z(z1.size());
    const std::size_t row = z.size() / 3;
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = t[i / row] * z1[i] + (1 - t[i / row]) * e[i];
    const auto noisy = ops::input<Whole::LatentShape>(ctx, std::span<const double>(z));
    const auto predicted = numbers(model(ctx, noisy, t, bench.labels)), velocity = numbers(model.template velocity_of<true>(ctx, noisy, model.denoised(ctx, noisy, t, bench.labels)));
    double distillation = 0, of_velocity = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      const double at = t[i / row], wanted = Design::prediction == Space::x ? z2[i] : Design::prediction == Space::eps ? e[i] : z2[i] - e[i];
      distillation += std::pow(predicted[i] - wanted, 2) * (by == DistillationWeight::one ? 1 : 1 / ((1 - at) * (1 - at))) / double(z.size());
      of_velocity += std::pow(velocity[i] - (z2[i] - e[i]), 2) / double(z.size());
    }
    const auto loss = [&] { return numbers(o.loss(ctx, model, images, bench.labels))[0]; };
    CHECK(loss() == doctest::Approx(distillation).epsilon(1e-12));
    weigh(o, 3);
    CHECK(loss() == doctest::Approx(of_velocity).epsilon(1e-12));
    tape.clear();
  };
  same(std::type_identity<SelfDistillation<>>{}, DistillationWeight::one);
  same(std::type_identity<SelfDistillation<>>{}, DistillationWeight::velocity);
  same(std::type_identity<SelfDistillation<Space::x, Target::stopped>>{}, DistillationWeight::one);
  same(std::type_identity<SelfDistillation<Space::v, Target::averaged, true, Waive<rule::rank_differentiation>>>{}, DistillationWeight::one);
  same(std::type_identity<SelfDistillation<Space::eps, Target::averaged, true, Waive<rule::rank_differentiation>>>{}, DistillationWeight::one);
}

TEST_CASE("DSD: latents that images are painted from are (1 - s) z + s gamma n, one s for each image, uniform up to the share") {
  Reference device;
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  constexpr Index n = 2000;
  constexpr std::size_t row = Whole::LatentShape::row;
  const auto noised = [&](double of, double gamma, double share, Index first = 0) {
    Record<Reference, double> ctx(tape, nullptr, nullptr, {.seed = 3, .step = 1, .first_sample = first});
    DSDObjective<SelfDistillation<>, Reference, double> o;
    o.noise = gamma, o.noise_share = share;
    const std::vector<double> z(std::size_t(n) * row, of);
    std::vector<double> out(z.size());
    ops::output(ctx, o.noised(ctx, ops::input<Whole::LatentShape>(ctx, z)), std::span(out));
    tape.clear();
    return out;
  };
  const auto kept = noised(1, 1e-14, 0.5), noise = noised(0, 3, 0.5);  // noise of 0 would be left out
  double sum = 0, least = 1, most = 0, first = 0, square = 0, fourth = 0, neighbours = 0;
  for (std::size_t b = 0; b < std::size_t(n); ++b) {
    const double s = 1 - kept[b * row];
    least = std::min(least, s), most = std::max(most, s), sum += s;
    for (std::size_t i = 0; i < row; ++i) {
      REQUIRE(kept[b * row + i] == doctest::Approx(1 - s).epsilon(1e-12));
      const double e = noise[b * row + i] / (3 * s);
      first += e, square += e * e, fourth += e * e * e * e;
      if (i > 0) neighbours += e * noise[b * row + i - 1] / (3 * s);
    }
  }
  CHECK((least > 0 && least < 0.005 && most > 0.495 && most < 0.5));
  CHECK(sum / double(n) == doctest::Approx(0.25).epsilon(0.05).scale(0));
  CHECK(std::abs(first) / double(kept.size()) < 0.025);
  CHECK(std::abs(neighbours) / double(kept.size()) < 0.03);
  CHECK(square / double(kept.size()) == doctest::Approx(1).epsilon(0.02));
  CHECK(fourth / double(kept.size()) == doctest::Approx(3).epsilon(0.06));
  const auto later = noised(0, 3, 0.5, 500);
  CHECK(std::equal(noise.begin() + 500 * row, noise.end(), later.begin()));  // it goes by the sample's number
  CHECK(noised(0.3, 0, 1) == std::vector<double>(kept.size(), 0.3));
  CHECK(noised(0.3, 1, 0) == std::vector<double>(kept.size(), 0.3));
}

TEST_CASE("DSD: the last layer's gradient that weighs the adversary is the image head's") {
  Bench bench;
  Workspace<Reference> workspace(bench.device);
  Tape<Reference, double> tape(workspace);
  Array<Reference, double> gradients(bench.device, bench.weights.size());
  Kernels<Reference>::fill(bench.device, gradients.size(), 0.0, gradients.data());
  Record<Reference, double> ctx(tape, bench.weights.values(), gradients, StepRandom{3, 1, 0});
  const Whole& model = bench.weights.model();
  const auto seen = model.painted(ctx, ops::normal<Whole::LatentShape>(ctx, 3, {1, Stream::user}));
  const auto made = model.pixels(ctx, seen), by = ops::input<Whole::ImageShape>(ctx, std::span<const double>(bench.x));
  const auto found = Whole::last_gradient(ctx, by, ops::stop_gradient(ctx, seen));
  std::vector<double> of_formula(std::size_t(found.size())), all(std::size_t(bench.weights.size()));
  ops::output(ctx, found, std::span(of_formula));
  ctx.backward(ops::sum_all(ctx, ops::multiply(ctx, made, by)));
  gradients.download(all);
  const auto begin = all.begin() + model.image_head.weight.offset;
  for (std::size_t i = 0; i < of_formula.size(); ++i) CHECK(of_formula[i] == doctest::Approx(begin[std::ptrdiff_t(i)]).epsilon(1e-10));
}

namespace {
using Watcher = Discriminator<Teacher, 3, 0>;
using Heeded = DSDObjective<SelfDistillation<>, Cpu, float, UniformBetween<std::ratio<0>, std::ratio<19, 20>>, FeatureDistance<Teacher, Cpu, float, 0>, Teacher, AdversarialLoss<Watcher, Cpu, float>>;
using Turns = AdversarialTrainer<DSDTrainer<Whole, Heeded, Cpu>, Watcher>;
std::unique_ptr<Turns> turns(Cpu& cpu, const Weights<Teacher, Cpu>& teacher) {
  Heeded objective{.distance = {&teacher}, .teacher = &teacher, .perceptual_weight = 0.5, .adversarial = {.from = 2}, .class_weight = 0.1, .alignment_weight = 0.5, .self_alignment_weight = 0.5, .noise = 0.5, .view = {.mask = 0.5, .shift = 0.25, .colour = 0.5}};
  TrainOptions options = tiny_options();
  options.ema1_rises = true;
  options.total_steps = 9;
  return std::make_unique<Turns>(cpu, objective, teacher, options, AdamW{}, Turns::DiscriminatorOptions{.train = tiny_options(), .from = 1});
}
}  // namespace

TEST_CASE("DSD: an interrupted run goes on bit for bit: target encoder, adversary, augmentations and the latents' scale") {
  const TemporaryDirectory folder;
  const auto path = folder / "run.safetensors";
  Cpu cpu(1);
  const Weights<Teacher, Cpu> teacher(cpu, 7);
  const auto whole = turns(cpu, teacher), begun = turns(cpu, teacher), resumed = turns(cpu, teacher);
  const auto run = [&](Turns& trainer, Index steps) { run_training(trainer, Waves{}, {.steps = steps, .checkpoint = path, .report_every = 1}, [](const Progress&) {}); };
  run(*whole, 6);
  run(*begun, 3);
  load_checkpoint(path, *resumed);
  run(*resumed, 6);
  CHECK(all_of(*resumed) == all_of(*whole));
  Cpu two(2);
  const Weights<Teacher, Cpu> same(two, 7);
  const auto with_two = turns(two, same);
  run(*with_two, 6);
  CHECK(all_of(*with_two) == all_of(*whole));
  std::string figures;
  whole->for_each_figure([&](const char* name, double) { figures += name + std::string(" "); });
  CHECK(figures == "effective_rank uncentred_rank smallest_deviation raw_rms reconstruction distillation velocity discriminator_loss ");
}

TEST_CASE("DSD: latents that a trained model encodes have the scale of those that diffusion learns, of each of its weights by their own encoder") {
  Cpu cpu(1);
  std::vector<float> images(20 * 64);
  for (Index i = 0; i < 20; ++i) Waves{}.load(i, false, images.data() + 64 * i);
  const auto check_scale = [&]<class Design>(std::type_identity<Design>) {
    TrainOptions options = tiny_options();
    options.ema1 = 0.97, options.ema2 = 0.9;
    DSDTrainer<Small, DSDObjective<Design, Cpu>, Cpu> trainer(cpu, {}, options);
    trainer.watch().every = 2;
    for (int i = 0; i < 120; ++i) trainer.step(Waves{});
    CHECK(trainer.watch().step == 119);
    CHECK(trainer.watch().signs.rms == doctest::Approx(1).epsilon(1e-3));
    CHECK(trainer.watch().raw_signs.rms > 0);
    CHECK(trainer.watch().reconstruction > 0);
    for (auto* of : {&trainer.weights(), &trainer.ema1(), &trainer.ema2()}) {
      auto ctx = trainer.run(*of);
      const auto z = trainer.model().encode(ctx, ops::input<Small::ImageShape>(ctx, std::span<const float>(images)));
      std::vector<double> latents(std::size_t(z.size()));
      ops::output(ctx, z, std::span(latents));
      const auto signs = metrics::rank_signs(metrics::rows_of(std::span<const double>(latents), Small::latent_dim));
      CHECK(signs.rms == doctest::Approx(1).epsilon(0.25));  // averages over batches, of weights that move
    }
  };
  check_scale(std::type_identity<SelfDistillation<>>{});
  check_scale(std::type_identity<SelfDistillation<Space::x, Target::stopped>>{});
}

TEST_CASE("DSD: latents that shrink to one point are seen before they are normed") {
  Cpu cpu(1);
  DSDTrainer<Small, DSDObjective<SelfDistillation<>, Cpu>, Cpu> trainer(cpu, {}, tiny_options());
  std::vector<float> host(std::size_t(trainer.weights().size()));
  trainer.weights().download(host);
  for (const ParameterInfo& p : parameter_table(trainer.model()))
    if (p.name.starts_with("latent_head."))
      for (Index i = 0; i < p.size; ++i) host[std::size_t(p.offset + i)] = p.name.ends_with("bias") ? 1.0f : 1e-2f * host[std::size_t(p.offset + i)];
  trainer.weights().upload(host);
  trainer.step(Waves{});
  CHECK(trainer.watch().raw_signs.uncentred < 1.1);
  CHECK(trainer.watch().signs.eigenvalues > 1.5);
}

TEST_CASE("DSD: an alarm ends a training whose latents collapse, and says of what") {
  Cpu cpu(1);
  DSDTrainer<Small, DSDObjective<SelfDistillation<>, Cpu>, Cpu> trainer(cpu, {}, tiny_options());
  trainer.watch().alarm = 5.5;  // of 5
  trainer.watch().every = 3;
  check_error([&] { trainer.step(Waves{}); }, "collapse", {"step 1", "of 5", "5.5"});
  CHECK(trainer.step(Waves{}).step == 2);  // not looked at
}

TEST_CASE("DSD's objective refuses what means nothing") {
  Cpu cpu(1);
  using Plain = DSDObjective<SelfDistillation<>, Cpu>;
  const auto refused = [&](auto change, std::initializer_list<std::string_view> words) {
    Plain o;
    change(o);
    check_error([&] { o.validate(); }, "objective-options", words);
  };
  refused([](Plain& o) { o.distillation_weight = -1; }, {"distillation_weight", "-1"});
  refused([](Plain& o) { o.noise = std::nan(""); }, {"noise", "nan"});
  refused([](Plain& o) { o.view.mask = 1.5; }, {"view.mask", "1.5"});
  refused([](Plain& o) { o.view.shift = 0.6; }, {"view.shift", "0.6"});
  refused([](Plain& o) { o.label_dropout = 2; }, {"label_dropout", "2"});
  refused([](Plain& o) { o.t_epsilon = 0; }, {"t_epsilon", "0"});
  refused([](Plain& o) { o.perceptual_weight = 1; }, {"perceptual_weight is 1", "no distance"});
  refused([](Plain& o) { o.alignment_weight = 1; }, {"alignment_weight is 1", "no teacher"});
  refused([](Plain& o) { o.adversarial.from = -1; }, {"adversarial.from", "-1"});
  {
    DSDObjective<SelfDistillation<Space::v, Target::stopped, true, Waive<rule::rank_differentiation>>, Cpu> o;
    o.time_weight = DistillationWeight::velocity;
    check_error([&] { o.validate(); }, "objective-options", {"time_weight", "found v"});
  }
  Plain unseen;
  unseen.self_alignment_weight = 1;
  DSDTrainer<Small, Plain, Cpu> trainer(cpu, unseen, tiny_options());
  check_error([&] { trainer.step(Waves{}); }, "objective-options", {"self_alignment_weight is 1", "no SelfAlignment"});
  TrainOptions options;
  options.ema1_rises = true;
  check_error([&] { options.validate(); }, "train-options", {"ema1", "total_steps"});
  options.total_steps = 10, options.ema1 = 0.9;
  CHECK(options.ema1_at(0) == doctest::Approx(0.9));
  CHECK(options.ema1_at(5) == doctest::Approx(0.95));
  CHECK(options.ema1_at(10) == 1);
}
