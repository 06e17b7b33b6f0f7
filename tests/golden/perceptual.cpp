// LPIPS: the numbers that an independent implementation (perceptual.py) gives for a narrow VGG16, its gradient, its size and official names.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/models/lpips.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/official_names.hpp>

#include "central_difference.hpp"
#include "check_error.hpp"
#include "golden/near.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

using namespace sfumato;
using backend::Cpu;
using io_test::TemporaryDirectory;

namespace {

static_assert(parameter_count<VGG16<>>() == 14'714'688 && parameter_count<LPIPS<>>() == 14'714'688 + 1472);

using Tiny = LPIPS<2>;
using Image = Shape<dynamic, 3, 16, 16>;

// Element n of tensor k is 0.3 sin(0.37 n + 1.3 k + 0.5), and 0.4 more in the weights of channels.
std::vector<double> elements(const Tiny& model, Index size) {
  std::vector<double> out(static_cast<std::size_t>(size));
  int k = 0;
  for (const ParameterInfo& p : parameter_table(model)) {
    for (Index n = 0; n < p.size; ++n) out[static_cast<std::size_t>(p.offset + n)] = (p.name.starts_with("lin") ? 0.4 : 0) + 0.3 * std::sin(0.37 * double(n) + 1.3 * k + 0.5);
    ++k;
  }
  return out;
}
std::vector<double> waves(double frequency, double phase, int images) {
  std::vector<double> out(static_cast<std::size_t>(images * Image::row));
  for (std::size_t n = 0; n < out.size(); ++n) out[n] = std::sin(frequency * double(n) + phase);
  return out;
}

struct Bench {
  Cpu cpu{1};
  Weights<Tiny, Cpu, double> weights{cpu};
  Workspace<Cpu> workspace{cpu};
  Tape<Cpu, double> tape{workspace};

  Bench() { weights.values().upload(elements(weights.model(), weights.size())); }
  /// The distance, and its gradient at x.
  double operator()(const std::vector<double>& x, const std::vector<double>& y, std::vector<double>* d_x = nullptr) {
    Record<Cpu, double> ctx(tape, nullptr, nullptr);
    auto of_x = ops::input<Image>(ctx, x), of_y = ops::input<Image>(ctx, y);
    ctx.require_gradient(of_x);
    ctx.require_gradient(of_y);
    const auto loss = PerceptualDistance<Tiny, Cpu, double>{&weights}(ctx, of_x, of_y);
    double value = 0;
    ops::output(ctx, loss, std::span(&value, 1));
    if (d_x) {
      ctx.backward(loss);
      d_x->assign(ctx.gradient_of(of_x), ctx.gradient_of(of_x) + x.size());
      CHECK(ctx.gradient_of(of_y) == nullptr);
    }
    tape.clear();
    return value;
  }
};

}  // namespace

TEST_CASE("LPIPS: two distances, and of an image to itself none") {
  Bench distance;
  const auto x = waves(0.13, 0.7, 2), y = waves(0.29, 0.2, 2);
  check_near(distance(x, y), 1.1407584316722599, 1e-9, "mean");
  const auto one = [](const std::vector<double>& v) { return std::vector<double>(v.begin(), v.begin() + Image::row); };
  check_near(distance(one(x), one(y)), 1.83741862, 1e-8, "first");
  CHECK(distance(x, x) == 0);
}

TEST_CASE("LPIPS: its gradient") {
  Bench distance;
  auto x = waves(0.13, 0.7, 1);
  const auto y = waves(0.29, 0.2, 1);
  std::vector<double> d_x;
  distance(x, y, &d_x);
  for (std::size_t i = 3; i < x.size(); i += 61) {
    const double at = x[i], h = 1e-6;
    x[i] = at + h;
    const double above = distance(x, y);
    x[i] = at - h;
    const double below = distance(x, y);
    x[i] = at;
    check_near(d_x[i], (above - below) / (2 * h), 1e-7, text("pixel ", i));
  }
}

TEST_CASE("LPIPS: the names of the lpips package") {
  LPIPS<> model{};
  bind(model);
  std::set<std::string> names;
  for (const ParameterInfo& p : parameter_table(model)) names.insert(p.name + detail::shape_list(p.shape));
  CHECK(names.size() == 2 * 13 + 5);
  for (const char* wanted : {"net.slice1.0.weight(64, 3, 3, 3)", "net.slice1.2.bias(64)", "net.slice2.5.weight(128, 64, 3, 3)", "net.slice2.7.weight(128, 128, 3, 3)", "net.slice3.10.weight(256, 128, 3, 3)",
                             "net.slice3.14.bias(256)", "net.slice4.17.weight(512, 256, 3, 3)", "net.slice4.21.weight(512, 512, 3, 3)", "net.slice5.24.weight(512, 512, 3, 3)", "net.slice5.28.weight(512, 512, 3, 3)",
                             "lin0.model.1.weight(1, 64, 1, 1)", "lin2.model.1.weight(1, 256, 1, 1)", "lin4.model.1.weight(1, 512, 1, 1)"})
    CHECK_MESSAGE(names.contains(wanted), wanted);
}

TEST_CASE("LPIPS: a file of the whole module loads, and what does not fit is listed") {
  const TemporaryDirectory folder;
  Cpu cpu(1);
  const Weights<Tiny, Cpu> random(cpu, 4);
  std::vector<float> values(static_cast<std::size_t>(random.size())), read(values);
  random.values().download(values);
  const auto save = [&](const std::string& left_out, const std::string& flattened, const std::vector<std::string>& more) {
    std::vector<io::TensorToWrite> tensors;
    for (const ParameterInfo& p : parameter_table(random.model()))
      if (p.name != left_out) tensors.push_back({p.name, io::Dtype::f32, p.name == flattened ? std::vector<Index>{p.size} : p.shape, values.data() + p.offset});
    for (const std::string& name : more) tensors.push_back({name, io::Dtype::f32, {2}, values.data()});
    io::write_safetensors(folder / "w.safetensors", tensors, {});
  };
  Weights<Tiny, Cpu> weights(cpu);
  save("", "", {"scaling_layer.shift", "scaling_layer.scale", "lins.0.model.1.weight"});
  load_weights(folder / "w.safetensors", weights, lpips_names());
  weights.values().download(read);
  CHECK(read == values);
  save("net.slice3.12.bias", "lin3.model.1.weight", {"net.slice6.30.weight"});
  check_error([&] { load_weights(folder / "w.safetensors", weights, lpips_names()); }, "checkpoint-mismatch",
              {"missing: net.slice3.12.bias (8)", "shape: lin3.model.1.weight expected (1, 16, 1, 1), found (16)", "extra: net.slice6.30.weight (2)"});
}
