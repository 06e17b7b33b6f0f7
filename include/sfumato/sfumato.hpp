// Sfumato: flow and diffusion transformers as compile-time types. The front door for programs.
// Behind doors of their own: files, images and checkpoints (<sfumato/io.hpp>), metrics (<sfumato/metrics.hpp>) and what measures by
// them (<sfumato/train/dsd_trainer.hpp>), which need other libraries, and time to compile.
#pragma once

#include <sfumato/base/rules.hpp>  // first: few lines of "In file included from" before the words of a broken rule

#include <sfumato/autodiff/count.hpp>
#include <sfumato/autodiff/gradient.hpp>
#include <sfumato/autodiff/record.hpp>
#include <sfumato/autodiff/run.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/observed.hpp>
#include <sfumato/backend/reference/reference.hpp>
#include <sfumato/design/budget.hpp>
#include <sfumato/design/published_cost.hpp>
#include <sfumato/design/theorem.hpp>
#include <sfumato/flow/classification.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/flow/precondition.hpp>
#include <sfumato/flow/sampler.hpp>
#include <sfumato/models/autoencoder_kl.hpp>
#include <sfumato/models/classifier.hpp>
#include <sfumato/models/dit.hpp>
#include <sfumato/models/discriminator.hpp>
#include <sfumato/models/dsd.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/models/lpips.hpp>
#include <sfumato/models/masked_autoencoder.hpp>
#include <sfumato/models/rae.hpp>
#include <sfumato/models/sit.hpp>
#include <sfumato/models/vision_encoder.hpp>
#include <sfumato/models/vit_decoder.hpp>
#include <sfumato/ops/einsum.hpp>
#include <sfumato/ops/gather.hpp>
#include <sfumato/ops/window.hpp>
#include <sfumato/tensor/tensor.hpp>
#include <sfumato/train/adversary.hpp>
#include <sfumato/train/autoencoder_objective.hpp>
#include <sfumato/train/decoder_objective.hpp>
#include <sfumato/train/dsd_objective.hpp>
#include <sfumato/train/feature_distance.hpp>
#include <sfumato/train/latent_objective.hpp>
#include <sfumato/train/masked_reconstruction.hpp>
#include <sfumato/train/muon.hpp>
#include <sfumato/train/probe.hpp>
#include <sfumato/train/samples.hpp>
#include <sfumato/train/sit_objective.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>
