// Small networks for the flow tests, and a device with a context.
#pragma once

#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/tensor/tensor.hpp>

#include "check_error.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace flow_test {

using namespace sfumato;
using backend::Cpu;
using backend::Reference;
using Values = std::vector<double>;

inline constexpr Space spaces[] = {Space::x, Space::eps, Space::v};

struct Fixture {
  Reference device;
  Workspace<Reference> workspace{device};
  Tape<Reference, double> tape{workspace};
  Run<Reference, double> run{workspace, nullptr};
  Record<Reference, double> record(std::uint32_t step = 0, Index first = 0) { return {tape, nullptr, nullptr, {17, step, first}}; }
};

template <class Ctx, class V> Values host(Ctx& ctx, const V& v) {
  std::vector<typename Ctx::element> out(static_cast<std::size_t>(v.size()));
  ops::output(ctx, v, std::span(out));
  return {out.begin(), out.end()};
}

/// 0.3 z + 0.2 t + 0.1 label, and a log of the labels and times it was asked for.
struct Net {
  static constexpr int classes = 3, token_dim = 4, path_width = 4;
  template <class> static constexpr bool waives = false;
  std::vector<int>* labels = nullptr;
  Values* times = nullptr;
  int* calls = nullptr;
  static double at(double z, double t, int label) { return 0.3 * z + 0.2 * t + 0.1 * label; }

  template <class Ctx, class Z> auto operator()(Ctx& ctx, const Z& z, std::span<const double> t, std::span<const int> y) const {
    if (labels) labels->insert(labels->end(), y.begin(), y.end());
    if (times) times->insert(times->end(), t.begin(), t.end());
    if (calls) ++*calls;
    const auto rest = ops::input_from<typename Z::shape>(ctx, z.batch, [&](auto* out) {
      for (std::size_t b = 0; b < t.size(); ++b)
        for (Index i = 0; i < Z::shape::row; ++i) *out++ = static_cast<std::remove_reference_t<decltype(*out)>>(at(0, t[b], y[b]));
    });
    return ops::combine(ctx, 0.3, z, 1, rest);
  }
};

}  // namespace flow_test
