// linear_probe: what it knows of features that tell all, that tell nothing, and of those on other scales.
#include "train/support.hpp"

#include <sfumato/train/probe.hpp>

#include <algorithm>

using namespace train_test;

namespace {

constexpr int width = 6, classes = 4;

/// Of each class a cloud around a corner of its own, or, with labels of chance, around none; features 4 and 5 are noise.
LabelledFeatures clouds(std::size_t count, std::uint64_t seed, bool told = true) {
  const Random random{seed, Stream::user, 0}, chance{seed, Stream::data, 0};
  LabelledFeatures out;
  for (std::size_t i = 0; i < count; ++i) {
    const int label = int(chance.below(i, classes));
    out.labels.push_back(label);
    for (int j = 0; j < width; ++j) out.values.push_back(static_cast<float>(0.2 * random.normal(i * width + std::size_t(j)) + (told && j == label ? 2 : 0)));
  }
  return out;
}
double probe(LabelledFeatures train, LabelledFeatures test, const ProbeOptions& options = {.epochs = 20, .batch = 64}, int threads = 1) {
  Cpu device(threads);
  return linear_probe<width, classes>(device, std::move(train), std::move(test), options);
}

}  // namespace

TEST_CASE("linear probe: features that tell the label, and labels that nothing tells") {
  CHECK(probe(clouds(400, 1), clouds(200, 2)) == 1);
  const double guessed = probe(clouds(2000, 1, false), clouds(2000, 2, false));
  CHECK(guessed > 0.18);
  CHECK(guessed < 0.32);
  // What was learned is tested, not the test's own labels.
  auto turned = clouds(200, 2);
  for (int& label : turned.labels) label = (label + 1) % classes;
  CHECK(probe(clouds(400, 1), turned) == 0);
  CHECK(probe(clouds(400, 1), clouds(1, 3)) == 1);
}

TEST_CASE("linear probe: the scale and level of a feature do not matter, nor do features that never change") {
  auto train = clouds(400, 1), test = clouds(200, 2);
  // A third of the labels is wrong, so that the number says more than "all".
  for (auto* part : {&train, &test})
    for (std::size_t i = 0; i < part->labels.size(); i += 3) part->labels[i] = int(i / 3 % classes);
  const double plain = probe(train, test);
  CHECK(plain > 0.6);
  CHECK(plain < 0.95);
  auto scaled = std::pair{train, test};
  for (auto* part : {&scaled.first, &scaled.second})
    for (std::size_t i = 0; i < part->values.size(); ++i) part->values[i] = std::ldexp(part->values[i], 15 * int(i % width) - 40);  // powers of two: no rounding
  CHECK(probe(scaled.first, scaled.second) == plain);
  for (auto* part : {&scaled.first, &scaled.second})
    for (std::size_t i = 0; i < part->values.size(); ++i) part->values[i] = part == &scaled.first ? 50 + train.values[i] : 50 + test.values[i];
  CHECK(std::abs(probe(scaled.first, scaled.second) - plain) < 0.03);

  auto constant = std::pair{clouds(400, 1), clouds(200, 2)};
  for (auto* part : {&constant.first, &constant.second})
    for (std::size_t i = 4; i < part->values.size(); i += width) part->values[i] = 0.1f;
  for (std::size_t i = 4; i < constant.second.values.size(); i += width) constant.second.values[i] += 1000;  // what never changed tells nothing, whatever it is
  CHECK(probe(constant.first, constant.second) == 1);
  for (float& v : constant.first.values) v = 7;
  const double first_class = double(std::count(constant.second.labels.begin(), constant.second.labels.end(), 0)) / 200;
  const double blind = probe(constant.first, constant.second);
  CHECK(blind > 0);
  CHECK(blind < first_class + 0.2);
}

TEST_CASE("linear probe: the same seed, the same number, on any number of threads") {
  const auto train = clouds(300, 1, false), test = clouds(3000, 2, false);
  const auto at = [&](std::uint64_t seed, int threads) { return probe(train, test, {.epochs = 3, .batch = 32, .seed = seed}, threads); };
  const double one = at(1, 1);
  CHECK(at(1, 1) == one);
  CHECK(at(1, 3) == one);
  bool another = false;
  for (std::uint64_t seed = 2; seed < 6; ++seed) another = another || at(seed, 1) != one;
  CHECK(another);
}

TEST_CASE("linear probe: features that do not fit, or are no numbers, and options that mean nothing") {
  const auto good = clouds(20, 1);
  const auto changed = [&](auto&& change) {
    auto out = good;
    change(out);
    return out;
  };
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto spoiled = changed([&](auto& f) { f.values[5 * width + 2] = nan; });
  const auto shorter = changed([](auto& f) { f.values.pop_back(); });
  const auto unknown = changed([](auto& f) { f.labels[3] = classes; });
  check_error([&] { probe(shorter, good); }, "dataset", {"training features are 119", "expected 6 for each of 20 labels"});
  check_error([&] { probe(good, shorter); }, "dataset", {"test features are 119"});
  check_error([&] { probe({}, good); }, "dataset", {"training"});
  check_error([&] { probe(good, {}); }, "dataset", {"test"});
  check_error([&] { probe(spoiled, good); }, "dataset", {"sample 5", "nan"});
  check_error([&] { probe(good, spoiled); }, "dataset", {"sample 5", "nan"});
  check_error([&] { probe(unknown, good); }, "label-range", {"label 4", "sample 3", "0..3"});
  check_error([&] { probe(good, unknown); }, "label-range", {"label 4", "sample 3", "0..3"});
  check_error([&] { probe(good, good, {.epochs = 0}); }, "train-options", {"epochs must be positive, found 0"});
  check_error([&] { probe(good, good, {.batch = 0}); }, "train-options", {"batch must be positive, found 0"});
  check_error([&] { probe(good, good, {.batch = -4}); }, "train-options", {"batch must be positive, found -4"});
  check_error([&] { probe(good, good, {.learning_rate = -1}); }, "train-options", {"learning_rate", "found -1"});
}
