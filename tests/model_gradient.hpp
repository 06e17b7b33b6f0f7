// Gradients of a loss in every parameter of a model, against central differences.
#pragma once

#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/ops/embedding.hpp>
#include <sfumato/train/weights.hpp>

#include "central_difference.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

/// `loss(ctx, model)` is a scalar value of a recording context on Reference, in double; up to four elements of each parameter are looked at. Errors are held
/// against `bound` of the largest gradient of all. Frozen parameters must have none, and all others some, but for those whose name ends in `unseen`: what the
/// loss does not depend on has less than the bound.
template <class Model, class Loss> void check_model_gradient(const Loss& loss, double bound = 1e-8, const std::string& unseen = "(none)") {
  using namespace sfumato;
  using backend::Reference;
  Reference device;
  Weights<Model, Reference, double> weights(device, 5);
  std::vector<double> host(std::size_t(weights.size()));
  weights.values().download(host);
  for (const ParameterInfo& p : parameter_table(weights.model()))
    for (Index i = 0; i < p.size && !p.frozen; ++i) host[std::size_t(p.offset + i)] += 0.2 * std::sin(0.7 * double(p.offset + i));  // nothing stands behind zeros
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  Array<Reference, double> gradients(device, weights.size());
  const auto run = [&](bool backward) {
    weights.values().upload(host);
    Kernels<Reference>::fill(device, gradients.size(), 0.0, gradients.data());
    Record<Reference, double> ctx(tape, weights.values(), gradients, StepRandom{3, 1, 0});
    const auto value = loss(ctx, weights.model());
    double out = 0;
    ops::output(ctx, value, std::span(&out, 1));
    if (backward) ctx.backward(value);
    tape.clear();
    return out;
  };
  run(true);
  std::vector<double> found(host.size());
  gradients.download(found);
  const auto size = [](double a, double b) { return std::abs(a) < std::abs(b); };
  const double largest_of_all = std::abs(*std::max_element(found.begin(), found.end(), size));
  CHECK(largest_of_all > 0);
  for (const ParameterInfo& p : parameter_table(weights.model())) {
    INFO(p.name);
    const auto own = found.begin() + p.offset;
    const double largest = std::abs(*std::max_element(own, own + p.size, size));
    if (p.frozen) CHECK(largest == 0);
    else CHECK((largest < bound * largest_of_all) == p.name.ends_with(unseen));
    for (Index i = 0; i < p.size && !p.frozen; i += std::max<Index>(1, p.size / 3)) {
      const auto at = std::size_t(p.offset + i);
      const double expected = central_difference(host[at], [&] { return run(false); });
      INFO(i << ": found " << found[at] << ", expected " << expected);
      CHECK(std::abs(found[at] - expected) < bound * largest_of_all);
    }
  }
}
