// What networks that learn see of images: augment, OnlineView.
#include "train/support.hpp"

#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/train/adversary.hpp>
#include <sfumato/train/online_view.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

using namespace train_test;
using backend::Reference;

TEST_CASE("augmentation: what it does to each image, for three channels and for one") {
  Reference device;
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  const auto verify = [&]<int Channels>(std::integral_constant<int, Channels>) {
    using S = Shape<dynamic, Channels, 16, 16>;
    std::vector<double> x(std::size_t(2 * S::row)), y(x), again(x);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.7 * double(i)) + 0.2;
    Record<Reference, double> ctx(tape, nullptr, nullptr, {.seed = 9, .step = 4, .first_sample = 2});
    ops::output(ctx, augment(ctx, ops::input<S>(ctx, x), 1), std::span(y));
    ops::output(ctx, augment(ctx, ops::input<S>(ctx, x), 2), std::span(again));
    CHECK(y != again);  // each use has its own
    const Random random{9, Stream::augment, 4};
    for (int b = 0; b < 2; ++b) {
      const std::uint64_t first = (std::uint64_t{1} << 40) + 8 * std::uint64_t(2 + b);
      const int rows = int(random.below(first, 5)) - 2, columns = int(random.below(first + 1, 5)) - 2;
      const double brightness = random.uniform(first + 2) - 0.5, saturation = 2 * random.uniform(first + 3), contrast = 0.5 + random.uniform(first + 4);
      std::vector<double> image(std::size_t(S::row), brightness);
      for (int c = 0; c < Channels; ++c)
        for (int i = std::max(0, rows); i < std::min(16, 16 + rows); ++i)
          for (int j = std::max(0, columns); j < std::min(16, 16 + columns); ++j)
            image[std::size_t((c * 16 + i) * 16 + j)] += x[std::size_t(((b * Channels + c) * 16 + i - rows) * 16 + j - columns)];
      for (int p = 0; Channels > 1 && p < 256; ++p) {
        double mean = 0;
        for (int c = 0; c < Channels; ++c) mean += image[std::size_t(c * 256 + p)] / Channels;
        for (int c = 0; c < Channels; ++c) image[std::size_t(c * 256 + p)] = mean + saturation * (image[std::size_t(c * 256 + p)] - mean);
      }
      double mean = 0;
      for (const double v : image) mean += v / double(image.size());
      for (std::size_t i = 0; i < image.size(); ++i) CHECK(y[std::size_t(b) * image.size() + i] == doctest::Approx(mean + contrast * (image[i] - mean)).epsilon(1e-9).scale(1));
    }
  };
  verify(std::integral_constant<int, 3>{});
  verify(std::integral_constant<int, 1>{});
}

namespace {

using Pictures = Shape<dynamic, 2, 8, 8>;  // patches of 4

/// What `view` makes of `x`, whose first sample is number `first` of step 4.
std::vector<double> seen(const OnlineView& view, const std::vector<double>& x, Index first = 0) {
  Reference device;
  Workspace<Reference> workspace(device);
  Tape<Reference, double> tape(workspace);
  Record<Reference, double> ctx(tape, nullptr, nullptr, {.seed = 9, .step = 4, .first_sample = first});
  std::vector<double> out(x.size());
  ops::output(ctx, view.of<4>(ctx, ops::input<Pictures>(ctx, x)), std::span(out));
  return out;
}
std::vector<double> pictures(std::size_t n) {
  std::vector<double> x(n * Pictures::row);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.7 * double(i)) + 1.5;  // nowhere 0
  return x;
}
constexpr std::size_t row = Pictures::row;

}  // namespace

TEST_CASE("online view: whole patches are hidden, by each image's own probability from U(0, mask)") {
  constexpr std::size_t n = 2000;
  const auto x = pictures(n), y = seen({.mask = 0.8}, x);
  int hidden_of_all = 0, all_hidden = 0;
  for (std::size_t b = 0; b < n; ++b) {
    int hidden = 0;
    for (std::size_t patch = 0; patch < 4; ++patch) {
      int zeros = 0, kept = 0;
      for (std::size_t c = 0; c < 2; ++c)
        for (std::size_t i = 0; i < 16; ++i) {
          const std::size_t at = b * row + (c * 8 + patch / 2 * 4 + i / 4) * 8 + patch % 2 * 4 + i % 4;
          zeros += y[at] == 0;
          kept += y[at] == x[at];
        }
      REQUIRE((zeros == 32 || kept == 32));
      hidden += zeros == 32;
    }
    all_hidden += hidden == 4;
    hidden_of_all += hidden;
  }
  CHECK(hidden_of_all / (4.0 * n) == doctest::Approx(0.4).epsilon(0.1).scale(0));
  // All four of an image: E[p^4] = 0.8^4 / 5, where one probability for all images, 0.4, would have it at 0.4^4.
  CHECK(all_hidden / double(n) == doctest::Approx(0.08192).epsilon(0.3).scale(0));
}

TEST_CASE("online view: an image is moved as a whole, by no more than its share, and what comes in is 0") {
  constexpr std::size_t n = 400;
  const auto x = pictures(n), y = seen({.mask = 0, .shift = 0.25}, x);
  std::array<std::array<int, 5>, 5> met{};
  for (std::size_t b = 0; b < n; ++b) {
    const auto at = [&](const std::vector<double>& of, int c, int i, int j) { return i < 0 || i > 7 || j < 0 || j > 7 ? 0.0 : of[b * row + std::size_t((c * 8 + i) * 8 + j)]; };
    int fit = 0;
    for (int rows = -2; rows <= 2; ++rows)
      for (int columns = -2; columns <= 2; ++columns) {
        bool same = true;
        for (int p = 0; p < 128; ++p) same = same && at(y, p / 64, p / 8 % 8, p % 8) == at(x, p / 64, p / 8 % 8 - rows, p % 8 - columns);
        fit += same;
        met[std::size_t(rows + 2)][std::size_t(columns + 2)] += same;
      }
    CHECK(fit == 1);
  }
  for (const auto& of_row : met)
    for (const int times : of_row) CHECK(times > 0);
}

TEST_CASE("online view: light is a line, contrast x + brightness, of its range") {
  constexpr std::size_t n = 400;
  const auto x = pictures(n), y = seen({.mask = 0, .colour = 0.6}, x);
  double least[2] = {9, 9}, most[2] = {-9, -9}, together = 0;
  for (std::size_t b = 0; b < n; ++b) {
    const double *from = &x[b * row], *to = &y[b * row];
    const double contrast = (to[1] - to[0]) / (from[1] - from[0]), brightness = to[0] - contrast * from[0];
    for (std::size_t i = 0; i < row; ++i) REQUIRE(to[i] == doctest::Approx(contrast * from[i] + brightness).epsilon(1e-9));
    together += (contrast - 1) * brightness / (0.06 * double(n));  // deviations 0.6 / sqrt(3) and 0.6 / sqrt(12)
    least[0] = std::min(least[0], contrast), most[0] = std::max(most[0], contrast);
    least[1] = std::min(least[1], brightness), most[1] = std::max(most[1], brightness);
  }
  CHECK(std::abs(together) < 0.2);
  CHECK((least[0] >= 0.4 && least[0] < 0.42 && most[0] <= 1.6 && most[0] > 1.58));
  CHECK((least[1] >= -0.3 && least[1] < -0.29 && most[1] <= 0.3 && most[1] > 0.29));
}

TEST_CASE("online view: it goes by the sample's number, and nothing asked for changes nothing") {
  const OnlineView all{.mask = 0.5, .shift = 0.25, .colour = 0.5};
  const auto x = pictures(6), y = seen(all, x);
  const std::vector<double> last(x.begin() + 4 * row, x.end());
  CHECK(seen(all, last, 4) == std::vector<double>(y.begin() + 4 * row, y.end()));
  CHECK(seen(all, last, 0) != std::vector<double>(y.begin() + 4 * row, y.end()));
  CHECK(seen({.mask = 0}, x) == x);
  // Moved first, then lit, then hidden: what comes in is lit too, what is hidden is 0.
  CHECK(y == seen({.mask = 0.5}, seen({.mask = 0, .colour = 0.5}, seen({.mask = 0, .shift = 0.25}, x))));
}
