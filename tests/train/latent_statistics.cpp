// LatentStatistics against two passes by hand, its files and the published ones, and what LatentScale makes of latents with them.
#include "train/support.hpp"

#include <sfumato/train/latent_statistics.hpp>

#include <cmath>

using namespace train_test;

namespace {

constexpr std::size_t tokens = 9, width = 4, size = tokens * width;
using Statistics = LatentStatistics<9, 4>;
using Scale = LatentScale<9, 4>;

/// Latents whose elements lie at levels of their own, far from zero and close by, some with hardly a spread.
std::vector<float> latents(std::size_t count) {
  std::vector<float> out(count * size);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t j = i % size;
    out[i] = static_cast<float>((j % 3 == 0 ? 300 : 0.2) * std::sin(double(j)) + (j % 5 == 0 ? 0.01 : 2) * Random{1, Stream::user, 0}.normal(i));
  }
  return out;
}

struct Moments {
  std::vector<double> mean = std::vector<double>(size), variance = std::vector<double>(size);
};
Moments two_passes(const std::vector<float>& all) {
  Moments out;
  const double n = double(all.size() / size);
  for (std::size_t i = 0; i < all.size(); ++i) out.mean[i % size] += double(all[i]) / n;
  for (std::size_t i = 0; i < all.size(); ++i) out.variance[i % size] += (double(all[i]) - out.mean[i % size]) * (double(all[i]) - out.mean[i % size]) / n;
  return out;
}

/// (width, 3, 3), as files have it, of (tokens, width).
std::vector<float> by_channel(const std::vector<double>& by_token) {
  std::vector<float> out;
  for (std::size_t c = 0; c < width; ++c)
    for (std::size_t t = 0; t < tokens; ++t) out.push_back(static_cast<float>(by_token[t * width + c]));
  return out;
}

struct Reader {
  TemporaryDirectory folder;
  Cpu device{1};
  Weights<Scale, Cpu> scale{device, 1};
  std::filesystem::path path = folder / "s.safetensors";

  std::vector<float> elements() {
    std::vector<float> out(static_cast<std::size_t>(scale.size()));
    scale.values().download(out);
    return out;
  }
  void write(const std::vector<io::TensorToWrite>& tensors) { io::write_safetensors(path, tensors, {}); }
  void refused(std::string_view id, std::initializer_list<std::string_view> words) {
    const auto before = elements();
    check_error([&] { read_statistics(path, scale); }, id, words);
    CHECK(elements() == before);
  }
  std::vector<float> run(const std::vector<float>& z, bool back) {
    Workspace<Cpu> workspace(device);
    Run<Cpu> ctx(workspace, scale.values());
    const auto x = ops::input<Scale::LatentShape>(ctx, std::span<const float>(z));
    std::vector<float> out(z.size());
    ops::output(ctx, back ? scale.model().denormalise(ctx, x) : scale.model().normalise(ctx, x), std::span(out));
    return out;
  }
};

}  // namespace

TEST_CASE("latent statistics: numbers that single precision does not have are refused") {
  Reader reader;
  const std::vector<double> large(size, 1e38), none(size, 0), larger(size, 1e80);
  const auto write = [&](const std::vector<double>& mean, const std::vector<double>& var) {
    const std::vector<io::TensorToWrite> tensors{{"mean", io::Dtype::f64, {4, 3, 3}, mean.data(), {}}, {"var", io::Dtype::f64, {4, 3, 3}, var.data(), {}}};
    io::write_safetensors(reader.path, tensors, {});
  };
  write(large, none);
  check_error([&] { read_statistics(reader.path, reader.scale); }, "latent-statistics", {reader.path.string(), "-3.16228e+40", "too large"});
  write(none, larger);
  check_error([&] { read_statistics(reader.path, reader.scale); }, "latent-statistics", {"1e+40", "too large"});
}

TEST_CASE("latent statistics: mean and biased variance of every element, in any parts") {
  const auto all = latents(500);
  const Moments expected = two_passes(all);
  Statistics whole, parts;
  whole.add(all);
  const std::span<const float> rest(all);
  for (std::size_t first = 0, n = 1; first < 500; first += n, n = std::min<std::size_t>(3 * n, 500 - first)) parts.add(rest.subspan(first * size, n * size));
  CHECK(whole.count() == 500);
  CHECK(parts.count() == 500);
  CHECK(parts.mean() == whole.mean());
  CHECK(parts.variance() == whole.variance());
  for (std::size_t j = 0; j < size; ++j) {
    CHECK(whole.mean()[j] == doctest::Approx(expected.mean[j]).epsilon(1e-12));
    CHECK(whole.variance()[j] == doctest::Approx(expected.variance[j]).epsilon(1e-9));
  }
  Statistics one;
  one.add(rest.first(size));
  for (const double v : one.variance()) CHECK(v == 0);
}

TEST_CASE("latent statistics: what does not fit, or is no number, is an error that adds nothing") {
  Statistics statistics;
  auto all = latents(4);
  check_error([&] { statistics.add(std::span(all).first(size + 1)); }, "shape", {"37 values", "latents of 9 x 4"});
  check_error([&] { statistics.save("/no/such/folder/s.safetensors"); }, "latent-statistics", {"no latents", "/no/such/folder/s.safetensors"});
  statistics.add(std::span(all).first(2 * size));
  const auto mean = statistics.mean(), variance = statistics.variance();
  all[3 * size + 7 * width + 2] = std::numeric_limits<float>::quiet_NaN();
  check_error([&] { statistics.add(std::span(all).last(size)); }, "non-finite-latents", {"latent 3 ", "nan", "token 7, channel 2"});
  all[3 * size] = -std::numeric_limits<float>::infinity();
  check_error([&] { statistics.add(std::span(all).last(size)); }, "non-finite-latents", {"latent 3 ", "-inf", "token 0, channel 0"});
  CHECK(statistics.count() == 2);
  CHECK(statistics.mean() == mean);
  CHECK(statistics.variance() == variance);
}

TEST_CASE("latent statistics: files are by channel, latents by token; normalised and back") {
  Reader reader;
  const auto all = latents(50);
  const Moments expected = two_passes(all);
  Statistics statistics;
  statistics.add(all);
  for (const bool with_mean : {true, false}) {
    statistics.save(reader.path, with_mean);
    {
      const io::SafetensorsFile file(reader.path);
      CHECK(file.names().size() == (with_mean ? 2 : 1));
      CHECK(file.metadata().at("samples") == "50");
      std::vector<float> found(size);
      const auto check_file = [&](const char* name, const std::vector<double>& wanted) {
        REQUIRE(file.contains(name));
        CHECK(file.at(name).shape == std::vector<Index>{4, 3, 3});
        CHECK(file.at(name).dtype == io::Dtype::f32);
        file.read<float>(file.at(name), found);
        const auto as_filed = by_channel(wanted);
        for (std::size_t i = 0; i < size; ++i) CHECK(found[i] == doctest::Approx(as_filed[i]).epsilon(1e-6));
      };
      check_file("var", expected.variance);
      if (with_mean) check_file("mean", expected.mean);
    }
    read_statistics(reader.path, reader.scale);
    const auto scaled = reader.run(all, false), back = reader.run(scaled, true);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::size_t j = i % size;
      const double mean = with_mean ? expected.mean[j] : 0, deviation = std::sqrt(expected.variance[j] + 1e-5), level = std::abs(expected.mean[j]);
      CHECK(std::abs(scaled[i] - (double(all[i]) - mean) / deviation) <= 1e-6 * (4 + level / deviation));  // f32's last places, of numbers so large
      CHECK(std::abs(back[i] - double(all[i])) <= 1e-6 * (deviation + level));
    }
  }
}

TEST_CASE("latent statistics: without a mean it is 0, without a variance 1; other floating-point types are read") {
  Reader reader;
  std::vector<double> mean(size), var(size);
  for (std::size_t i = 0; i < size; ++i) mean[i] = 0.25 * double(i) - 3, var[i] = 0.5 + double(i);  // in the file's order
  const auto z = latents(2);
  const auto verify = [&](bool has_mean, bool has_var) {
    const auto scaled = reader.run(z, false);
    for (std::size_t i = 0; i < z.size(); ++i) {
      const std::size_t at = i % width * tokens + i / width % tokens;
      CHECK(scaled[i] == doctest::Approx((double(z[i]) - (has_mean ? mean[at] : 0)) / std::sqrt((has_var ? var[at] : 1) + 1e-5)).epsilon(1e-5));
    }
  };
  const io::TensorToWrite wide_mean{"mean", io::Dtype::f64, {4, 3, 3}, mean.data(), {}}, wide_var{"var", io::Dtype::f64, {4, 3, 3}, var.data(), {}};
  reader.write({wide_mean});
  read_statistics(reader.path, reader.scale);
  verify(true, false);
  reader.write({wide_var});
  read_statistics(reader.path, reader.scale);
  verify(false, true);
  reader.write({wide_mean, wide_var});
  read_statistics(reader.path, reader.scale);
  verify(true, true);
}

TEST_CASE("latent statistics: a file that is none is told so, and changes nothing") {
  Reader reader;
  std::vector<float> good(size, 1), bad(good);
  const std::vector<std::int64_t> counts(size, 1);
  const std::vector<Index> shape{4, 3, 3};
  reader.write({{"mean", io::Dtype::i64, shape, counts.data(), {}},
                {"var", io::Dtype::f32, {4, 9, 1}, good.data(), {}},
                {"count", io::Dtype::f32, {2}, good.data(), {}}});
  reader.refused("checkpoint-mismatch",
                 {reader.path.string(), "type: mean", "shape: var expected 4 channels of 9 places in a square, found (4, 9, 1)", "extra: count (2)"});
  reader.write({{"var", io::Dtype::f32, {3, 3, 4}, good.data(), {}}});
  reader.refused("checkpoint-mismatch", {"shape: var", "found (3, 3, 4)"});
  reader.write({{"mean", io::Dtype::f32, {36}, good.data(), {}}});
  reader.refused("checkpoint-mismatch", {"shape: mean", "found (36)"});
  reader.write({{"moments", io::Dtype::f32, shape, good.data(), {}}});
  reader.refused("checkpoint-mismatch", {"extra: moments (4, 3, 3)", "missing: mean or var"});

  const auto spoiled = [&](const char* name, float value) {
    bad.back() = value;
    const auto tensor = [&](const std::string& each) { return io::TensorToWrite{each, io::Dtype::f32, shape, (each == name ? bad : good).data(), {}}; };
    reader.write({tensor("mean"), tensor("var")});
  };
  spoiled("var", -0.5f);
  reader.refused("latent-statistics", {reader.path.string(), "variance of -0.5"});
  spoiled("var", std::numeric_limits<float>::quiet_NaN());
  reader.refused("latent-statistics", {"nan in var"});
  spoiled("mean", std::numeric_limits<float>::infinity());
  reader.refused("latent-statistics", {"inf in mean"});
  spoiled("var", 0);  // no spread is no error: 1e-5 stands beside it
  read_statistics(reader.path, reader.scale);
  CHECK(reader.run(std::vector<float>(size, 2), false).back() == doctest::Approx(316.2278));
}

TEST_CASE("latent statistics: the published ones of DINOv2-B, variances alone") {
  // The file's first eight numbers; the others are made up, no two alike.
  std::vector<float> var{.7962f, .9146f, .8696f, .8198f, .8470f, .8287f, .8850f, .9070f};
  for (std::size_t i = var.size(); i < 768 * 256; ++i) var.push_back(static_cast<float>(0.005 + 4e-5 * double(i)));
  const TemporaryDirectory folder;
  io::write_safetensors(folder / "stat.safetensors", std::vector<io::TensorToWrite>{{"var", io::Dtype::f32, {768, 16, 16}, var.data(), {}}}, {});
  Cpu device(1);
  Weights<LatentScale<256, 768>, Cpu> scale(device);
  read_statistics(folder / "stat.safetensors", scale);
  Workspace<Cpu> workspace(device);
  Run<Cpu> ctx(workspace, scale.values());
  std::vector<float> z(256 * 768, 1);
  ops::output(ctx, scale.model().normalise(ctx, ops::input<Shape<dynamic, 256, 768>>(ctx, std::span<const float>(z))), std::span(z));
  const double first[] = {1.120692, 1.045640, 1.072353, 1.104443, 1.086565, 1.098497, 1.062982, 1.050011};  // 1 / sqrt(var + 1e-5)
  for (std::size_t place = 0; place < 8; ++place) CHECK(std::abs(z[place * 768] - first[place]) < 2e-6);
  std::size_t wrong = 0;
  for (std::size_t place = 0; place < 256; ++place)
    for (std::size_t c = 0; c < 768; ++c) wrong += std::abs(z[place * 768 + c] * std::sqrt(double(var[c * 256 + place]) + 1e-5) - 1) > 1e-6;
  CHECK(wrong == 0);
}
