// A model's weights in the field's format: safetensors, with the published key names.
#pragma once

#include <sfumato/io/safetensors.hpp>
#include <sfumato/train/weights.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

SFUMATO_BEGIN

/// What may stand before a model's parameter names in a file, in the order in which it is looked for: bare names, the
/// published checkpoints' module, and the parts of a training checkpoint (the slow average first: the one to sample from).
inline constexpr std::array<const char*, 6> key_prefixes = {"", "net.", "model_ema1.", "model_ema1.net.", "model.", "model.net."};

namespace detail {
inline std::string shape_list(const std::vector<Index>& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

inline bool is_float(io::Dtype dtype) {
  return dtype == io::Dtype::f64 || dtype == io::Dtype::f32 || dtype == io::Dtype::f16 || dtype == io::Dtype::bf16;
}

/// Whether a tensor is of a part of a training checkpoint, other than those that `prefixes` begin with; where they begin with
/// none, the file is no training checkpoint and has no such parts.
inline bool belongs_to_another_part(std::string_view name, const std::vector<std::string>& prefixes) {
  bool has_parts = false, another = false;
  for (const std::string_view part : {"model.", "model_ema1.", "model_ema2.", "optimizer.", "discriminator."}) {
    const bool asked = std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return p.starts_with(part); });
    has_parts = has_parts || asked;
    another = another || (name.starts_with(part) && !asked);
  }
  return has_parts && another;
}

/// What a file has otherwise than expected, a line each; of very many the first and their number.
class Differences {
 public:
  /// `name` may be anything that a file holds.
  template <class... What> void add(const char* kind, const std::string& name, const What&... what) {
    if (++count_ <= most) lines_ += text("\n  ", kind, ": ", io::detail::printable(name), " ", what...);
  }
  /// Throws an Error with all of them, if there are any.
  void require_none(std::string_view id, const std::string& path, const char* otherwise) const {
    check(count_ == 0, id, path, " ", otherwise, ":", lines_, count_ > most ? text("\n  and ", count_ - most, " more") : std::string());
  }

 private:
  static constexpr Index most = 1000;  // a large model's parameters have as many names
  std::string lines_;
  Index count_ = 0;
};

struct IgnoreNone {
  bool operator()(std::string_view) const { return false; }
};
/// Every difference between a model's parameters under each of `prefixes` and the tensors of a file. Parts of a training
/// checkpoint that nobody asked for are no difference, nor is what `ignored` names.
template <class Ignored = IgnoreNone>
void require_same_parameters(const io::SafetensorsFile& file, const std::string& path, const std::vector<ParameterInfo>& table,
                             const std::vector<std::string>& prefixes, const Ignored& ignored = {}) {
  Differences differences;
  std::set<std::string> known;
  for (const std::string& prefix : prefixes)
    for (const ParameterInfo& p : table) {
      const std::string name = prefix + p.name;
      known.insert(name);
      if (!file.contains(name)) differences.add("missing", name, shape_list(p.shape));
      else if (const auto& found = file.at(name).shape; found != p.shape)
        differences.add("shape", name, "expected ", shape_list(p.shape), ", found ", shape_list(found));
      else if (const auto dtype = file.at(name).dtype; !is_float(dtype))
        differences.add("type", name, "expected a floating-point type, found ", io::dtype_name(dtype));
    }
  for (const std::string& name : file.names())
    if (!known.contains(name) && !ignored(name) && !belongs_to_another_part(name, prefixes)) differences.add("extra", name, shape_list(file.at(name).shape));
  differences.require_none("checkpoint-mismatch", path, "does not hold this model's parameters");
}

template <class B, class E>
void read_parameters(const io::SafetensorsFile& file, const std::vector<ParameterInfo>& table, const std::string& prefix, Array<B, E>& into) {
  std::vector<E> host;
  for (const ParameterInfo& p : table) {
    host.resize(static_cast<std::size_t>(p.size));
    file.read<E>(file.at(prefix + p.name), host);
    into.upload(host, p.offset);
  }
}

/// How many of a layout's parameters `file` has under `prefix`.
inline Index count_held(const io::SafetensorsFile& file, const std::vector<ParameterInfo>& table, const std::string& prefix) {
  return std::count_if(table.begin(), table.end(), [&](const ParameterInfo& p) { return file.contains(prefix + p.name); });
}

template <class E> constexpr io::Dtype dtype_of() {
  if constexpr (std::is_same_v<E, float>) return io::Dtype::f32;
  else if constexpr (std::is_same_v<E, double>) return io::Dtype::f64;
  else return io::Dtype::bf16;
}
}  // namespace detail

/// The one of `key_prefixes` under which `file` holds most of the parameters; the first of them on a draw.
inline std::string find_prefix(const io::SafetensorsFile& file, const std::vector<ParameterInfo>& table) {
  std::string best;
  Index most = 0;
  for (const std::string prefix : key_prefixes) {
    const Index held = detail::count_held(file, table, prefix);
    if (held > most) {
      most = held;
      best = prefix;
    }
  }
  return best;
}

/// Reads a model's weights from a safetensors file with the official names, under any of `key_prefixes`.
/// Throws Error("checkpoint-mismatch") listing every missing, extra and mis-shaped tensor.
template <class Model, class B, class E> void load_weights(const std::filesystem::path& path, Weights<Model, B, E>& weights) {
  const io::SafetensorsFile file(path);
  const auto table = parameter_table(weights.model());
  const std::string prefix = find_prefix(file, table);
  detail::require_same_parameters(file, path.string(), table, {prefix});
  detail::read_parameters(file, table, prefix, weights.values());
}

namespace detail {
/// A buffer's tensors, to be written as "<buffer>.<parameter>", or "<parameter>" where the buffer's name is empty. `host` holds one tensor's
/// elements at a time.
template <class B, class E>
void append_tensors(std::vector<io::TensorToWrite>& tensors, const std::vector<ParameterInfo>& table, const std::string& name, const Array<B, E>& buffer, std::vector<E>& host) {
  for (const ParameterInfo& p : table) {
    const auto fetch = [&host, offset = p.offset, size = p.size, &buffer]() -> const void* {
      host.clear();  // nothing of the last one need be moved
      host.resize(static_cast<std::size_t>(size));
      buffer.download(host, offset);
      return host.data();
    };
    tensors.push_back({name.empty() ? p.name : name + "." + p.name, dtype_of<E>(), p.shape, nullptr, fetch});
  }
}
}  // namespace detail

/// Writes named flat buffers of one layout as "<buffer>.<parameter>", or "<parameter>" where the buffer's name is empty.
template <class B, class E>
void save_buffers(const std::filesystem::path& path, const std::vector<ParameterInfo>& table,
                  const std::vector<std::pair<std::string, const Array<B, E>*>>& buffers, const std::map<std::string, std::string>& metadata) {
  std::vector<E> host;
  std::vector<io::TensorToWrite> tensors;
  for (const auto& [name, array] : buffers) detail::append_tensors(tensors, table, name, *array, host);
  io::write_safetensors(path, tensors, metadata);
}

/// Writes a model's weights under their bare names.
template <class Model, class B, class E> void save_weights(const std::filesystem::path& path, const Weights<Model, B, E>& weights) {
  save_buffers<B, E>(path, parameter_table(weights.model()), {{"", &weights.values()}}, {});
}

SFUMATO_END
