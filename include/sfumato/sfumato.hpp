// Sfumato: flow and diffusion transformers as compile-time types. The front door for programs; it needs Eigen alone.
// Files, images and checkpoints are behind <sfumato/io.hpp>.
#pragma once

#include <sfumato/autodiff/count.hpp>
#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/autodiff/record.hpp>
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/design/budget.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/precondition.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/metrics/frechet_distance.hpp>
#include <sfumato/metrics/inception_score.hpp>
#include <sfumato/metrics/precision_recall.hpp>
#include <sfumato/models/classifier.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/ops/einsum.hpp>
#include <sfumato/tensor/tensor.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>
