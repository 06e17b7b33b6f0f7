// A small AutoencoderKL: its names, its posterior, the same on both backends. (Gradients and training: train/autoencoder_objective.cpp.)
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/models/autoencoder_kl.hpp>
#include <sfumato/train/weights.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using backend::Reference;

namespace {

using VAE = AutoencoderKL<8, 1, 2, Stages<4, 8>, 1, 2>;
static_assert(VAE::factor == 2 && VAE::latent_size == 4);

}  // namespace

TEST_CASE("AutoencoderKL: names as diffusers has them") {
  VAE model;
  bind(model);
  std::vector<std::string> names;
  for (const ParameterInfo& p : parameter_table(model)) names.push_back(p.name);
  for (const char* name : {"encoder.conv_in.weight", "encoder.down_blocks.0.resnets.0.norm1.weight", "encoder.down_blocks.0.downsamplers.0.conv.bias", "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
                           "encoder.mid_block.attentions.0.group_norm.bias", "encoder.mid_block.attentions.0.to_out.0.weight", "encoder.mid_block.resnets.1.conv2.weight", "encoder.conv_norm_out.weight",
                           "decoder.up_blocks.0.resnets.1.norm2.bias", "decoder.up_blocks.0.upsamplers.0.conv.weight", "decoder.up_blocks.1.resnets.0.conv_shortcut.bias", "decoder.conv_out.bias", "quant_conv.weight",
                           "post_quant_conv.bias"}) {
    INFO(name);
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
  for (const char* name : {"encoder.down_blocks.1.downsamplers.0.conv.bias", "decoder.up_blocks.1.upsamplers.0.conv.weight", "decoder.up_blocks.0.resnets.0.conv_shortcut.weight", "decoder.up_blocks.0.resnets.2.norm1.weight"}) {
    INFO(name);
    CHECK(std::count(names.begin(), names.end(), name) == 0);
  }
}

TEST_CASE("AutoencoderKL: a posterior's deviation and its divergence from N(0, 1)") {
  Reference device;
  Workspace<Reference> workspace(device);
  Run<Reference, double> run(workspace, nullptr);
  const std::vector<double> mean{0.5, -1, 2, 0}, log_variance{0, 1, -2, 0.3};
  using S = Shape<dynamic, 4>;
  const auto input = [&](const std::vector<double>& x) { return ops::input<S>(run, std::span<const double>(x)); };
  const auto m = input(mean);
  const Posterior<std::remove_const_t<decltype(m)>> posterior{m, input(log_variance)};
  std::vector<double> deviation(4);
  ops::output(run, posterior.deviation(run), std::span(deviation));
  double expected = 0, divergence = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(deviation[i] == doctest::Approx(std::exp(log_variance[i] / 2)).epsilon(1e-14));
    expected += 0.5 * (mean[i] * mean[i] + std::exp(log_variance[i]) - 1 - log_variance[i]) / 4;
  }
  ops::output(run, posterior.divergence(run), std::span(&divergence, 1));
  CHECK(divergence == doctest::Approx(expected).epsilon(1e-14));
}

TEST_CASE("AutoencoderKL: the same image from Cpu and Reference, whatever the batch") {
  Cpu cpu(2);
  Reference reference;
  Weights<VAE, Cpu> weights(cpu, 3);
  Weights<VAE, Reference, double> exact(reference, 3);
  std::vector<float> images(3 * 64);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = float(std::sin(0.3 * double(i)));
  const auto decoded = [&](auto& w, std::size_t first, std::size_t n, auto element) {
    using E = decltype(element);
    using B = std::remove_reference_t<decltype(w.values().backend())>;
    Workspace<B> workspace(w.values().backend());
    Run<B, E> run(workspace, w.values());
    std::vector<E> out(n * 64), in(images.begin() + std::ptrdiff_t(64 * first), images.begin() + std::ptrdiff_t(64 * (first + n)));
    ops::output(run, w.model().decode(run, w.model().encode(run, ops::input<VAE::ImageShape>(run, std::span<const E>(in))).mean), std::span(out));
    return out;
  };
  const auto all = decoded(weights, 0, 3, 0.0f), last = decoded(weights, 2, 1, 0.0f);
  CHECK(std::equal(last.begin(), last.end(), all.begin() + 128));
  const auto expected = decoded(exact, 0, 3, 0.0);
  double error = 0, size = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    error += (double(all[i]) - expected[i]) * (double(all[i]) - expected[i]);
    size += expected[i] * expected[i];
  }
  CHECK(std::sqrt(error / size) < 1e-5);
}
