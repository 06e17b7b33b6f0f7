// The order of samples, flips, images as samples; and steps that fail or allocate nothing.
#include "train/support.hpp"

#include <sfumato/train/image_source.hpp>
#include <sfumato/train/samples.hpp>

#include <algorithm>
#include <set>

using namespace train_test;

namespace {

// Notes what is asked of it.
struct Log {
  std::vector<Index>* order;
  std::vector<bool>* flips;
  Index size() const { return 40; }
  template <class E> int load(Index i, bool flip, E* out) const {
    order->push_back(i);
    flips->push_back(flip);
    return Waves{}.load(i, flip, out);
  }
};

}  // namespace

TEST_CASE("no step after the first asks the heap for anything") {
  for (const Index accumulate : {1, 4}) {
    Cpu device(accumulate == 1 ? 1 : 2);
    auto options = tiny_options();
    options.accumulate = accumulate;
    options.flip = true;
    TinyTrainer<> trainer(device, {}, options);
    const Waves data;
    trainer.step(data);
    const long before = heap_requests();
    const Index allocations = trainer.workspace().allocations();
    for (int i = 0; i < 8; ++i) trainer.step(data);  // epochs end in between
    CHECK(heap_requests() == before);
    CHECK(trainer.workspace().allocations() == allocations);
  }
}

TEST_CASE("every epoch is a permutation of its own") {
  ShuffledOrder order(50, 7), again(50, 7), other(50, 8);
  std::vector<std::vector<Index>> epochs;
  for (Index epoch = 0; epoch < 3; ++epoch) {
    auto& seen = epochs.emplace_back();
    for (Index i = 0; i < 50; ++i) seen.push_back(order.at(epoch * 50 + i));
    CHECK(std::set<Index>(seen.begin(), seen.end()).size() == 50);
    CHECK(*std::min_element(seen.begin(), seen.end()) == 0);
    CHECK(*std::max_element(seen.begin(), seen.end()) == 49);
    CHECK(again.at(epoch * 50 + 17) == seen[17]);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
  std::vector<Index> elsewhere;
  for (Index i = 0; i < 50; ++i) elsewhere.push_back(other.at(i));
  CHECK(elsewhere != epochs[0]);
  CHECK(order.at(3) == epochs[0][3]);  // back again

  // Positions are uniform: where sample 0 stands in 2000 epochs of 10.
  ShuffledOrder small(10, 1);
  std::vector<int> at(10);
  for (Index i = 0; i < 20000; ++i)
    if (small.at(i) == 0) ++at[std::size_t(i % 10)];
  for (const int count : at) CHECK(std::abs(count - 200) < 60);
}

TEST_CASE("a trainer sees every sample once an epoch, and flips half of them") {
  std::vector<Index> order;
  std::vector<bool> flips;
  Cpu device(1);
  auto options = tiny_options();
  options.flip = true;
  TinyTrainer<> trainer(device, {}, options);
  for (int i = 0; i < 50; ++i) trainer.step(Log{&order, &flips});
  REQUIRE(order.size() == 400);
  for (auto epoch = order.begin(); epoch != order.end(); epoch += 40) CHECK(std::set<Index>(epoch, epoch + 40).size() == 40);
  CHECK(std::abs(std::count(flips.begin(), flips.end(), true) - 200) < 40);

  const auto [first_order, first_flips] = std::pair{order, flips};
  order.clear(), flips.clear();
  options.accumulate = 4;
  TinyTrainer<> in_parts(device, {}, options);
  for (int i = 0; i < 50; ++i) in_parts.step(Log{&order, &flips});
  CHECK(order == first_order);
  CHECK(flips == first_flips);

  flips.clear();
  options.flip = false;
  TinyTrainer<> straight(device, {}, options);
  straight.step(Log{&order, &flips});
  CHECK(std::count(flips.begin(), flips.end(), true) == 0);
}

TEST_CASE("images become samples, channels first in [-1, 1], mirrored on request; and samples images") {
  io::ImageDataset dataset;
  dataset.height = 2, dataset.width = 2, dataset.channels = 3, dataset.classes = 4;
  dataset.labels = {3, 1};
  for (int i = 0; i < 24; ++i) dataset.pixel_values.push_back(static_cast<std::uint8_t>(i == 23 ? 255 : 10 * i));
  const ImageSource source(dataset);
  static_assert(TrainingData<ImageSource> && TrainingData<ImageSource, double>);
  CHECK(source.size() == 2);
  std::vector<float> sample(12), mirrored(12);
  CHECK(source.load(1, false, sample.data()) == 1);
  CHECK(source.load(1, true, mirrored.data()) == 1);
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t y = 0; y < 2; ++y)
      for (std::size_t x = 0; x < 2; ++x) {
        CHECK(sample[c * 4 + y * 2 + x] == doctest::Approx(double(dataset.pixel_values[12 + (y * 2 + x) * 3 + c]) / 127.5 - 1));
        CHECK(mirrored[c * 4 + y * 2 + x] == sample[c * 4 + y * 2 + (1 - x)]);
      }
  const io::Image image = to_image(sample, 3, 2);
  CHECK(std::equal(image.pixels.begin(), image.pixels.end(), dataset.pixel_values.begin() + 12));
  CHECK(to_image(std::vector<float>{-3.0f}, 1, 1).pixels[0] == 0);
  CHECK(to_image(std::vector<float>{7.0f}, 1, 1).pixels[0] == 255);
  check_error([&] { source.load(2, false, sample.data()); }, "dataset-index", {"2"});
}

TEST_CASE("images of another size than the model's are an error, not an overflow") {
  io::ImageDataset dataset;
  dataset.height = dataset.width = 64, dataset.channels = 1, dataset.classes = 3;
  dataset.labels.assign(8, 1);
  dataset.pixel_values.assign(8 * 64 * 64, 7);
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  check_error([&] { trainer.step(ImageSource(dataset)); }, "dataset", {"64 x 64 x 1", "expected 8 x 8 x 1"});
  CHECK(trainer.step_count() == 0);
}

TEST_CASE("samples in memory: labels, mirror images, and what does not fit") {
  using S = Shape<dynamic, 2, 3>;
  const std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<int> labels{2, 1};
  const Samples<S> data(values, labels);
  static_assert(TrainingData<Samples<S>> && TrainingData<Samples<S>, double>);
  static_assert(!std::is_constructible_v<Samples<S>, std::vector<float>> && !std::is_constructible_v<Samples<S>, std::vector<float>&, std::vector<int>>);  // they would die
  static_assert(std::is_constructible_v<Samples<S>, std::vector<float>&, std::vector<int>&>);
  CHECK(data.size() == 2);
  std::vector<double> out(6);
  CHECK(data.load(1, false, out.data()) == 1);
  CHECK(out == std::vector<double>{7, 8, 9, 10, 11, 12});
  CHECK(data.load(0, true, out.data()) == 2);
  CHECK(out == std::vector<double>{3, 2, 1, 6, 5, 4});
  CHECK(Samples<S>(values).load(1, false, out.data()) == 0);
  check_error([&] { Samples<Shape<dynamic, 5>>{values}; }, "dataset", {"12 values", "samples of 5"});
  check_error([&] { Samples<S>(values, std::span(labels).first(1)); }, "dataset", {"1 labels for 2 samples"});
  auto bad = values;
  bad[8] = std::numeric_limits<float>::infinity();
  check_error([&] { Samples<S>{bad}; }, "dataset", {"sample 1", "inf"});
}

TEST_CASE("samples that are no numbers are no images") {
  check_error([] { to_image(std::vector<float>{0, std::numeric_limits<float>::quiet_NaN(), 0, 0}, 1, 2); }, "non-finite-sample", {"nan", "pixel 1"});
  check_error([] { to_image(std::vector<float>{0, 0, 0, std::numeric_limits<float>::infinity()}, 1, 2); }, "non-finite-sample", {"inf", "pixel 3"});
}

TEST_CASE("an empty training set is an error") {
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  check_error([&] { trainer.step(Waves{.count = 0}); }, "dataset", {"empty"});
}

TEST_CASE("a loss that is no number stops the step before it changes anything") {
  Cpu device(1);
  TinyTrainer<> trainer(device, {}, tiny_options());
  const Waves data{.spoiled_from = 30};  // in the fourth step
  for (int i = 0; i < 3; ++i) trainer.step(data);
  const auto before = state(trainer);
  const std::size_t live = trainer.workspace().pool().live_bytes();
  for (int i = 0; i < 2; ++i) check_error([&] { trainer.step(data); }, "non-finite-loss", {"step 4", "nan", "step 3"});
  CHECK(state(trainer) == before);
  CHECK(trainer.workspace().pool().live_bytes() == live);
  CHECK(trainer.step(Waves{}).step == 4);  // good data: it goes on

  struct Wrong {
    Index size() const { return 20; }
    int load(Index, bool, float* out) const {
      std::fill(out, out + 64, 0.0f);
      return 7;
    }
  };
  const auto after = state(trainer);
  check_error([&] { trainer.step(Wrong{}); }, "label-range", {"label 7", "0..2"});
  CHECK(state(trainer) == after);
}
