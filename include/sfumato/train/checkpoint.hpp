// Checkpoints in the field's format: safetensors, with the published key names, written so that a crash at any moment
// leaves the old file whole.
#pragma once

#include <sfumato/io/safetensors.hpp>
#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights.hpp>

#include <algorithm>
#include <array>
#include <charconv>
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

/// Whether a tensor is of a part of a training checkpoint, other than those that `prefixes` begin with.
inline bool belongs_to_another_part(std::string_view name, const std::vector<std::string>& prefixes) {
  for (const std::string_view part : {"model.", "model_ema1.", "model_ema2.", "optimizer."})
    if (name.starts_with(part) && std::none_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return p.starts_with(part); })) return true;
  return false;
}

/// Every difference between a model's parameters under each of `prefixes` and the tensors of a file. Parts of a training
/// checkpoint that nobody asked for are no difference.
inline void require_same_parameters(const io::SafetensorsFile& file, const std::string& path, const std::vector<ParameterInfo>& table,
                                    const std::vector<std::string>& prefixes) {
  std::string differences;
  std::set<std::string> known;
  for (const std::string& prefix : prefixes)
    for (const ParameterInfo& p : table) {
      const std::string name = prefix + p.name;
      known.insert(name);
      if (!file.contains(name)) differences += "\n  missing: " + name + " " + shape_list(p.shape);
      else if (const auto& found = file.at(name).shape; found != p.shape)
        differences += "\n  shape: " + name + " expected " + shape_list(p.shape) + ", found " + shape_list(found);
      else if (const auto dtype = file.at(name).dtype; !is_float(dtype))
        differences += "\n  type: " + name + " expected a floating-point type, found " + std::string(io::dtype_name(dtype));
    }
  for (const std::string& name : file.names())
    if (!known.contains(name) && !belongs_to_another_part(name, prefixes)) differences += "\n  extra: " + name + " " + shape_list(file.at(name).shape);
  check(differences.empty(), "checkpoint-mismatch", path, " does not hold this model's parameters:", differences);
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

template <class E> constexpr io::Dtype dtype_of() {
  if constexpr (std::is_same_v<E, float>) return io::Dtype::f32;
  else if constexpr (std::is_same_v<E, double>) return io::Dtype::f64;
  else return io::Dtype::bf16;
}

/// All that a run's bits depend on besides its model and data, by name.
template <class T> std::map<std::string, std::string> settings(const T& trainer) {
  std::map<std::string, std::string> out;
  const auto visit = [&]<class V>(const char* name, const V& value) {
    if constexpr (std::is_floating_point_v<V>) {
      char digits[32];
      out[name] = std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);  // the shortest that reads back
    } else {
      out[name] = text(value);
    }
  };
  visit("element", io::dtype_name(dtype_of<typename T::element>()));
  trainer.options().for_each_option(visit);
  if constexpr (requires { trainer.objective.for_each_option(visit); }) trainer.objective.for_each_option(visit);
  else visit("objective", "unnamed");
  return out;
}

}  // namespace detail

/// The one of `key_prefixes` under which `file` holds most of the parameters; the first of them on a draw.
inline std::string find_prefix(const io::SafetensorsFile& file, const std::vector<ParameterInfo>& table) {
  std::string best;
  std::ptrdiff_t most = 0;
  for (const std::string prefix : key_prefixes) {
    const auto held = std::count_if(table.begin(), table.end(), [&](const ParameterInfo& p) { return file.contains(prefix + p.name); });
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

/// Writes named flat buffers of one layout as "<buffer>.<parameter>", or "<parameter>" where the buffer's name is empty.
template <class B, class E>
void save_buffers(const std::filesystem::path& path, const std::vector<ParameterInfo>& table,
                  const std::vector<std::pair<std::string, const Array<B, E>*>>& buffers, const std::map<std::string, std::string>& metadata) {
  std::vector<E> host;  // one tensor's elements at a time
  std::vector<io::TensorToWrite> tensors;
  for (const auto& [name, array] : buffers)
    for (const ParameterInfo& p : table) {
      const auto fetch = [&host, &p, source = array]() -> const void* {
        host.clear();  // nothing of the last one need be moved
        host.resize(static_cast<std::size_t>(p.size));
        source->download(host, p.offset);
        return host.data();
      };
      tensors.push_back({name.empty() ? p.name : name + "." + p.name, detail::dtype_of<E>(), p.shape, nullptr, fetch});
    }
  io::write_safetensors(path, tensors, metadata);
}

/// Writes a model's weights under their bare names.
template <class Model, class B, class E> void save_weights(const std::filesystem::path& path, const Weights<Model, B, E>& weights) {
  save_buffers<B, E>(path, parameter_table(weights.model()), {{"", &weights.values()}}, {});
}

/// Saves everything that a run needs to go on: weights, averages, moments; and as metadata the step, the options of training
/// and objective, and the number of training samples.
template <class T> void save_checkpoint(const std::filesystem::path& path, T& trainer) {
  using B = typename T::backend;
  using E = typename T::element;
  std::vector<std::pair<std::string, const Array<B, E>*>> buffers;
  trainer.for_each_buffer([&](const char* name, const Array<B, E>& array) { buffers.emplace_back(name, &array); });
  auto metadata = detail::settings(trainer);
  metadata["step"] = std::to_string(trainer.step_count());
  metadata["samples"] = std::to_string(trainer.data_size());
  save_buffers<B, E>(path, parameter_table(trainer.model()), buffers, metadata);
}

/// How like the interrupted run a resumed one must be.
enum class Resume {
  exact,         ///< same options, objective and element, so that it goes on bit for bit; the model is known by its parameters alone
  with_changes,  ///< same model only: a new learning rate, batch, loss, data set ...
};

/// Resumes from `save_checkpoint`'s file. Throws Error("checkpoint-metadata") for another kind of file, and
/// Error("checkpoint-mismatch") or Error("checkpoint-settings") with every difference; the trainer is then as it was.
template <class T> void load_checkpoint(const std::filesystem::path& path, T& trainer, Resume resume = Resume::exact) {
  const io::SafetensorsFile file(path);
  const auto entry = [&](const char* key) {
    const auto found = file.metadata().find(key);
    check(found != file.metadata().end(), "checkpoint-metadata", path.string(), " has no metadata \"", key, "\": it is not a training checkpoint");
    return found->second;
  };
  const auto count = [&](const char* key) {
    const std::string digits = entry(key);
    check(!digits.empty() && digits.size() < 19 && digits.find_first_not_of("0123456789") == std::string::npos, "checkpoint-metadata", path.string(),
          " has ", key, " \"", digits, "\", expected a number below 10^18");
    return Index{std::stoll(digits)};
  };
  const Index step = count("step");
  check(step < Index{1} << 32, "checkpoint-metadata", path.string(), " has step ", step, ", expected one below 2^32");
  const Index samples = resume == Resume::exact ? count("samples") : 0;
  if (resume == Resume::exact) {
    std::string differences;
    const auto wanted = detail::settings(trainer);
    for (const auto& [name, value] : file.metadata())
      if (name.starts_with("objective") && !wanted.contains(name)) differences += "\n  " + name + ": " + value + ", this run has none";
    for (const auto& [name, value] : wanted) {
      const auto found = file.metadata().find(name);
      if (found == file.metadata().end()) differences += "\n  " + name + ": not given, this run has " + value;
      else if (found->second != value) differences += "\n  " + name + ": " + found->second + ", this run has " + value;
    }
    check(differences.empty(), "checkpoint-settings", path.string(), " was made with other settings:", differences);
  }
  const auto table = parameter_table(trainer.model());
  std::vector<std::string> prefixes;
  trainer.for_each_buffer([&](const std::string& name, auto&) { prefixes.push_back(name + "."); });
  detail::require_same_parameters(file, path.string(), table, prefixes);
  // Nothing is changed before everything is known to fit.
  trainer.for_each_buffer([&](const std::string& name, auto& array) { detail::read_parameters(file, table, name + ".", array); });
  trainer.resume_at(step, samples);
}

SFUMATO_END
