// Metrics of three matrices that anybody can write down, against figures of independent code in f64.
#include <sfumato/metrics/cknna.hpp>
#include <sfumato/metrics/frechet_distance.hpp>
#include <sfumato/metrics/inception_score.hpp>
#include <sfumato/metrics/precision_recall.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace sfumato::metrics;
using Eigen::MatrixXd;

namespace {

constexpr int samples = 40, width = 6;
template <class F> MatrixXd matrix(F&& f) {
  MatrixXd m(samples, width);
  for (int i = 0; i < samples; ++i)
    for (int j = 0; j < width; ++j) m(i, j) = f(double(i), double(j));
  return m;
}
const MatrixXd x = matrix([](double i, double j) { return std::sin(0.9 * i + 1.7 * j) + 0.1 * j + 0.01 * i; });
const MatrixXd y = matrix([](double i, double j) { return 1.2 * std::cos(0.8 * i + 1.1 * j) + 0.05 * i * std::sin(j); });
const MatrixXd z = matrix([](double i, double j) { return std::sin(0.9 * i + 1.7 * j) + 0.1 * j + 0.01 * i + 0.3 * std::sin(3.1 * i + 0.7 * j); });

double frechet(const MatrixXd& a, const MatrixXd& b) {
  GaussianFit of_a(width), of_b(width);
  of_a.add(a);
  of_b.add(b);
  return frechet_distance(of_a.gaussian(), of_b.gaussian());
}
void check_close(double found, double expected, double relative) {
  INFO("found " << found << ", expected " << expected);
  CHECK(std::abs(found - expected) <= relative * std::abs(expected));
}

}  // namespace

TEST_CASE("the Frechet distance") {
  // Nearly singular covariances: their roots are known to half of the digits.
  CHECK(std::abs(frechet(x, y) - 9.7551580011) < 1e-7);
  CHECK(std::abs(frechet(x, z) - 0.1927746787) < 1e-7);
}

TEST_CASE("precision and recall of three nearest neighbours") {
  const auto of_z = precision_recall(x, z), of_y = precision_recall(x, y);
  CHECK(of_z.precision == 0.625);
  CHECK(of_z.recall == 1);
  CHECK(of_y.precision == 0);
  CHECK(of_y.recall == 0);
}

TEST_CASE("the inception score, of all samples and of parts of 15, the last of 10") {
  MatrixXd probabilities(samples, 8);
  for (int i = 0; i < samples; ++i) {
    for (int c = 0; c < 8; ++c) {
      double sum = 0;
      for (int d = 0; d < width; ++d) sum += x(i, d) * std::cos(0.5 * d + 0.3 * c);
      probabilities(i, c) = std::exp(sum);
    }
    probabilities.row(i) /= probabilities.row(i).sum();
  }
  check_close(inception_score(probabilities, 1).mean, 1.03721745164, 1e-10);
  check_close(inception_score_in_parts(probabilities, 15).mean, 1.01368334718, 1e-10);
  check_close(inception_score_in_parts(probabilities, 40).mean, 1.03721745164, 1e-10);
}

TEST_CASE("CKNNA in both published forms") {
  const MatrixXd u = x.rowwise().normalized(), v = y.rowwise().normalized(), w = z.rowwise().normalized();
  check_close(cknna(u, w, 5), 0.9925328514, 1e-9);
  check_close(cknna(u, v, 5), 0.1085189935, 1e-9);
  check_close(cknna(u, w, 10), 0.9048081512, 1e-9);
  check_close(cknna(u, v, 10), 0.3015869333, 1e-9);
  check_close(cknna(u, w, 5, CknnaForm::equations), 0.9705641381, 1e-9);
  check_close(cknna(u, v, 5, CknnaForm::equations), 0.1363187475, 1e-9);
  check_close(cknna(u, w, 10, CknnaForm::equations), 0.8827086747, 1e-9);
  check_close(cknna(u, v, 10, CknnaForm::equations), 0.3170608590, 1e-9);
}
