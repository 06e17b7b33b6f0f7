// DSD: one trunk for three uses, gradients of each, and its parts' parameters.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/models/dsd.hpp>
#include <sfumato/train/weights.hpp>

#include "model_gradient.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Reference;

namespace {

using Small = DSD<ImagePatches<8, 1, 4, 3>, Transformer<16, 2, LayerNorm, GELU, Heads<2>>, 5>;
using AlignedSmall = DSD<ImagePatches<8, 1, 4, 3>, Transformer<16, 2, LayerNorm, GELU, Heads<2>>, 5, HeadBlocks<2, 1>, Alignment<1, 6, 8>, SelfAlignment<1, 2, 8>>;

template <class S> auto wave(auto& ctx, double phase) {
  return ops::input_from<S>(ctx, 2, [&](double* out) { for (int j = 0; j < 2 * int(S::row); ++j) out[j] = std::cos(0.4 * j + phase); });
}
const std::vector<double> times{0.2, 0.7};
const std::vector<int> labels{0, 3};

}  // namespace

TEST_CASE("DSD: gradients are those of central differences, through every part") {
  const auto square = [](auto& ctx, const auto& x) { return ops::mean_all(ctx, ops::multiply(ctx, x, x)); };
  const auto all = [&]<class Model>(auto& ctx, const Model& model) {
    const auto z = model.encode(ctx, wave<typename Model::ImageShape>(ctx, 0));
    const auto noisy = ops::combine(ctx, 0.6, z, 0.4, wave<typename Model::LatentShape>(ctx, 1));
    const auto denoised = model.denoised(ctx, noisy, times, labels);
    const auto clean = model(ctx, noisy, times, labels);
    const auto velocity = model.template velocity_of<false>(ctx, noisy, denoised);
    const auto classes = model.class_head(ctx, ops::mean<axis::tokens>(ctx, model.features(ctx, wave<typename Model::ImageShape>(ctx, 2))));
    const auto diffusion = ops::combine(ctx, 0.7, square(ctx, clean), 0.4, square(ctx, velocity));
    return ops::combine(ctx, 1, ops::combine(ctx, 1, square(ctx, model.decode(ctx, z)), 0.3, square(ctx, classes)), 1, diffusion);
  };
  check_model_gradient<Small>(all);
  check_model_gradient<AlignedSmall>([&](auto& ctx, const AlignedSmall& model) {
    const auto blocks = model.every_block(ctx, wave<AlignedSmall::ImageShape>(ctx, 0));
    return ops::combine(ctx, 1, all(ctx, model), 1, ops::combine(ctx, 1, square(ctx, model.projector(ctx, std::get<0>(blocks))), 0.5, square(ctx, model.self_projector(ctx, std::get<1>(blocks)))));
  });
}

TEST_CASE("DSD: one trunk serves all three uses: each alone moves all of its parameters, and its own mode of the three") {
  Reference device;
  Weights<Small, Reference, double> weights(device, 5);
  std::vector<double> host(std::size_t(weights.size()));
  weights.values().download(host);
  for (std::size_t i = 0; i < host.size(); ++i) host[i] += 0.2 * std::sin(0.7 * double(i));
  weights.values().upload(host);
  const auto moved = [&](const auto& use) {
    Workspace<Reference> workspace(device);
    Tape<Reference, double> tape(workspace);
    Array<Reference, double> gradients(device, weights.size());
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, weights.values(), gradients, StepRandom{3, 1, 0});
    const auto y = use(ctx, weights.model());
    ctx.backward(ops::mean_all(ctx, ops::multiply(ctx, y, y)));
    std::vector<double> found(host.size());
    gradients.download(found);
    std::vector<std::string> names;
    for (const ParameterInfo& p : parameter_table(weights.model()))
      if (std::any_of(found.begin() + p.offset, found.begin() + p.offset + p.size, [](double g) { return g != 0; })) names.push_back(p.name);
    return names;
  };
  std::vector<std::string> trunk;
  for (const ParameterInfo& p : parameter_table(weights.model()))
    if (p.name.starts_with("blocks.")) trunk.push_back(p.name);
  CHECK(trunk.size() == 2 * 12);
  const auto has = [](const std::vector<std::string>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  const auto check_use = [&](const char* mode, const auto& use) {
    const auto names = moved(use);
    INFO(mode);
    for (const std::string& name : trunk) {
      INFO(name);
      CHECK(has(names, name));
    }
    for (const char* each : {"encode", "decode", "denoise"}) CHECK(has(names, std::string("modes.") + each) == (std::string(each) == mode));
  };
  check_use("encode", [](auto& ctx, const Small& model) { return model.encode(ctx, wave<Small::ImageShape>(ctx, 0)); });
  check_use("decode", [](auto& ctx, const Small& model) { return model.decode(ctx, wave<Small::LatentShape>(ctx, 1)); });
  check_use("denoise", [](auto& ctx, const Small& model) { return model(ctx, wave<Small::LatentShape>(ctx, 1), times, labels); });
}
