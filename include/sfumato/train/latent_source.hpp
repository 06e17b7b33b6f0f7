// Latents and a teacher's tokens that were worked out beforehand, as training samples.
#pragma once

#include <sfumato/io/safetensors.hpp>
#include <sfumato/train/sit_objective.hpp>
#include <sfumato/train/weights_file.hpp>

#include <vector>

SFUMATO_BEGIN

/// Feeds a Trainer of `Model` by `Objective`, a SiTObjective, from a file of `moments` (n, 2 channels, side, side), the latents' means and then their
/// deviations as REG's code keeps them, `tokens` (n, 1 + patches, width), a teacher's class token and those of its patches, and `labels` (n), i32.
template <class Model, class Objective> class LatentSource {
 public:
  using Sample = typename Objective::template Sample<Model>;

  /// `file` outlives this. Throws Error("latents-file") with all that it has otherwise, and for labels that the model does not know.
  explicit LatentSource(const io::SafetensorsFile& file) {
    using Latent = typename Model::LatentShape;
    constexpr Index tokens = Objective::teacher_values / Objective::class_dim;
    const auto path = file.name();
    detail::Differences differences;
    const auto find = [&](const char* name, std::vector<Index> row, bool floats) -> const io::TensorInfo* {
      if (!file.contains(name)) {
        differences.add("missing", name);
        return nullptr;
      }
      const io::TensorInfo& found = file.at(name);
      row.insert(row.begin(), found.shape.empty() ? 0 : found.shape[0]);
      const bool other_shape = found.shape != row, other_type = floats ? !detail::is_float(found.dtype) : found.dtype != io::Dtype::i32;
      if (other_shape) differences.add("shape", name, "expected ", detail::shape_list(row), ", found ", detail::shape_list(found.shape));
      else if (other_type) differences.add("type", name, "expected ", floats ? "a floating-point type" : "I32", ", found ", io::dtype_name(found.dtype));
      return other_shape || other_type ? nullptr : &found;
    };
    moments_ = find("moments", {2 * extent<Latent, 1>, extent<Latent, 2>, extent<Latent, 3>}, true);
    tokens_ = find("tokens", {tokens, Objective::class_dim}, true);
    const io::TensorInfo* const labels = find("labels", {}, false);
    if (moments_ && tokens_ && labels && (moments_->shape[0] != tokens_->shape[0] || moments_->shape[0] != labels->shape[0]))
      differences.add("rows", "moments, tokens, labels", "expected as many of each, found ", moments_->shape[0], ", ", tokens_->shape[0], " and ", labels->shape[0]);
    differences.require_none("latents-file", path, "does not hold this model's training samples");
    size_ = moments_->shape[0];
    check(size_ > 0, "latents-file", path, " holds no samples");
    labels_.resize(std::size_t(size_));
    file.read<std::int32_t>(*labels, std::span(labels_));
    for (Index i = 0; i < size_; ++i)
      check(labels_[std::size_t(i)] >= 0 && labels_[std::size_t(i)] < Model::classes, "latents-file", path, ": label ", labels_[std::size_t(i)], " of sample ", i, " is outside 0..", Model::classes - 1);
  }
  Index size() const { return size_; }
  template <IsShape Wanted> void require_shape() const { require<rule::SameShape<LatentSource, Sample, Wanted>>(); }
  /// Latents know of no flips.
  template <class E> int load(Index i, bool flip, E* out) const {
    check(!flip, "train-options", "latents were worked out of images as they are: they cannot be flipped");
    constexpr Index moments = 2 * Index(Model::LatentShape::row);
    copy(*moments_, i, std::span(out, std::size_t(moments)));
    copy(*tokens_, i, std::span(out + moments, std::size_t(Objective::teacher_values)));
    return labels_[std::size_t(i)];
  }

 private:
  template <class E> static void copy(const io::TensorInfo& from, Index row, std::span<E> out) {
    const std::size_t bytes = out.size() * io::byte_size(from.dtype);
    check(io::detail::convert_floats(from.dtype, from.bytes.subspan(std::size_t(row) * bytes, bytes), out), "latents-file", "'", from.name, "' is of no floating-point type");
  }

  const io::TensorInfo *moments_ = nullptr, *tokens_ = nullptr;
  Index size_ = 0;
  std::vector<std::int32_t> labels_;
};

SFUMATO_END
