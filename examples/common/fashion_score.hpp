// Scores generated Fashion-MNIST images by the bundled classifier: is each recognised as its label, and how do its
// features compare with those of the real test set?
#pragma once

#include "fashion.hpp"
#include "fashion_classifier.hpp"

#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/metrics/features.hpp>
#include <sfumato/metrics/frechet_distance.hpp>
#include <sfumato/metrics/inception_score.hpp>
#include <sfumato/metrics/precision_recall.hpp>
#include <sfumato/ops/activation.hpp>
#include <sfumato/train/checkpoint.hpp>
#include <sfumato/train/image_source.hpp>

namespace example {

struct Score {
  double recognised;         ///< share of images whose label the classifier names
  double frechet;            ///< Fréchet distance between features of generated and real test images
  double precision, recall;  ///< improved precision and recall, k = 3
  double inception;          ///< inception score on the classifier's predictions
};

class FashionScorer {
 public:
  static constexpr int width = FashionClassifier::width;
  static constexpr sfumato::Index least = 4;  ///< images to score: precision and recall look at three neighbours

  /// `real`: the test set. Throws when the classifier's weights are missing or damaged, or the images of another size.
  FashionScorer(sfumato::backend::Cpu& cpu, const sfumato::io::ImageDataset& real, const std::filesystem::path& weights)
      : workspace_(cpu), weights_(cpu) {
    sfumato::load_weights(weights, weights_);
    const sfumato::ImageSource source(real);
    source.require_shape<FashionImage>();  // `load` writes as many values as the data set says
    std::vector<float> probabilities;
    accuracy_ = look(scaled_images(real), real.labels, real_, probabilities);
  }

  /// Share of the real test images that the classifier names correctly.
  double accuracy() const { return accuracy_; }

  /// images: (n, 1, 28, 28), clamped to [-1, 1]; labels: (n). Recall is taken against as many real images as there are generated ones.
  Score score(std::span<const float> images, std::span<const int> labels) {
    using sfumato::metrics::rows_of;
    std::vector<float> features, probabilities;
    const double recognised = look(images, labels, features, probabilities);
    const auto generated = rows_of(std::span<const float>(features), width), real = rows_of(std::span<const float>(real_), width);
    const auto compared = std::min(generated.rows(), real.rows());
    const auto pr = sfumato::metrics::precision_recall(real.topRows(compared), generated.topRows(compared));
    const auto inception = sfumato::metrics::inception_score(rows_of(std::span<const float>(probabilities), 10), 1);  // labels come in order: no splits
    return {recognised, sfumato::metrics::frechet_distance(real, generated), pr.precision, pr.recall, inception.mean};
  }

 private:
  // Fills `features` (n, width) and `probabilities` (n, 10); returns the share of images named by their label.
  double look(std::span<const float> images, std::span<const int> labels, std::vector<float>& features, std::vector<float>& probabilities) {
    using namespace sfumato;
    Run<backend::Cpu> run(workspace_, weights_.values());
    features.resize(labels.size() * std::size_t(width));
    probabilities.resize(labels.size() * 10);
    std::size_t right = 0;
    for (std::size_t first = 0; first < labels.size(); first += 250) {
      const std::size_t n = std::min<std::size_t>(250, labels.size() - first);
      const auto x = ops::activation(run, ops::input<FashionImage>(run, images.subspan(first * 784, n * 784)), ops::Clamp<-1, 1>{});
      const auto seen = weights_.model().features(run, x);
      ops::output(run, seen, std::span(features).subspan(first * std::size_t(width), n * std::size_t(width)));
      const std::span<float> named = std::span(probabilities).subspan(first * 10, n * 10);
      ops::output(run, ops::softmax(run, weights_.model().head(run, seen)), named);
      for (std::size_t b = 0; b < n; ++b) {
        const auto row = named.begin() + static_cast<std::ptrdiff_t>(b * 10);
        right += std::max_element(row, row + 10) - row == labels[first + b];
      }
    }
    return double(right) / double(labels.size());
  }

  sfumato::Workspace<sfumato::backend::Cpu> workspace_;
  sfumato::Weights<FashionClassifier, sfumato::backend::Cpu> weights_;
  std::vector<float> real_;
  double accuracy_ = 0;
};

}  // namespace example
