// k nearest neighbours: by hand, by loops, and what it refuses.
#include <sfumato/metrics/knn_accuracy.hpp>

#include "check_error.hpp"
#include "support.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace metrics_test;
using namespace sfumato::metrics;
using Eigen::MatrixXd;

TEST_CASE("knn_accuracy: directions decide, not lengths; near neighbours outvote far ones") {
  MatrixXd known(5, 2);
  known << 1, 0, 10, 1, 0, 1, 0, 7, 0.1, 1;
  const std::vector<int> labels{3, 3, 0, 0, 0};
  MatrixXd asked(3, 2);
  asked << 100, 1, 0.01, 5, 1, 0.05;
  CHECK(knn_accuracy(known, labels, asked, std::vector<int>{3, 0, 3}, {.neighbours = 2}) == 1);
  CHECK(knn_accuracy(known, labels, asked, std::vector<int>{0, 0, 3}, {.neighbours = 2}) == doctest::Approx(2.0 / 3));
  // All five vote: two near ones outweigh three far ones, unless the temperature makes them alike.
  CHECK(knn_accuracy(known, labels, asked.topRows(1), std::vector<int>{3}, {.neighbours = 5}) == 1);
  CHECK(knn_accuracy(known, labels, asked.topRows(1), std::vector<int>{0}, {.neighbours = 5, .temperature = 100}) == 1);
}

TEST_CASE("knn_accuracy is that of the plain loops, over several blocks") {
  const MatrixXd known = normals(400, 6, 1), asked = normals(600, 6, 2);
  const auto of = [](const MatrixXd& x) {
    std::vector<int> labels;
    for (sfumato::Index i = 0; i < x.rows(); ++i) labels.push_back((x(i, 0) > 0) + 2 * (x(i, 1) + 0.5 * x(i, 2) > 0));
    return labels;
  };
  const auto labels = of(known), truth = of(asked);
  int right = 0;
  for (sfumato::Index i = 0; i < asked.rows(); ++i) {
    std::vector<std::pair<double, int>> all;
    for (sfumato::Index j = 0; j < known.rows(); ++j) all.emplace_back(-asked.row(i).dot(known.row(j)) / asked.row(i).norm() / known.row(j).norm(), labels[std::size_t(j)]);
    std::sort(all.begin(), all.end());
    std::vector<double> votes(4);
    for (std::size_t k = 0; k < 20; ++k) votes[std::size_t(all[k].second)] += std::exp(-all[k].first / 0.07);
    right += std::max_element(votes.begin(), votes.end()) - votes.begin() == truth[std::size_t(i)];
  }
  const double found = knn_accuracy(known, labels, asked, truth);
  CHECK(found == doctest::Approx(right / 600.0).epsilon(1e-12));
  CHECK(found > 0.7);
  CHECK(found < 1);
}

TEST_CASE("knn_accuracy refuses what has no neighbours") {
  const MatrixXd x = normals(10, 3, 1);
  const std::vector<int> labels(10, 1), few(9, 1), negative{-1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  check_error([&] { knn_accuracy(x, labels, normals(4, 2, 1), std::vector<int>(4, 1)); }, "metric-width", {"3", "2"});
  check_error([&] { knn_accuracy(x, few, x, labels); }, "metric-samples", {"9", "10"});
  check_error([&] { knn_accuracy(x, labels, x, labels); }, "metric-samples", {"20 neighbours of 10"});
  check_error([&] { knn_accuracy(x, negative, x, labels, {.neighbours = 3}); }, "metric-samples", {"-1"});
  check_error([&] { knn_accuracy(x, labels, x, labels, {.neighbours = 3, .temperature = 0}); }, "metric-options", {"temperature", "0"});
  MatrixXd bad = x;
  bad(4, 1) = std::nan("");
  check_error([&] { knn_accuracy(bad, labels, x, labels, {.neighbours = 3}); }, "metric-finite", {"training", "row 4"});
}
