// How good samples are: Frechet distance, inception score, precision and recall; and representations: CKNNA, effective rank, nearest neighbours. Needs Eigen.
#pragma once

#include <sfumato/metrics/cknna.hpp>
#include <sfumato/metrics/effective_rank.hpp>
#include <sfumato/metrics/frechet_distance.hpp>
#include <sfumato/metrics/inception_score.hpp>
#include <sfumato/metrics/knn_accuracy.hpp>
#include <sfumato/metrics/precision_recall.hpp>
