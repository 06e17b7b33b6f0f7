// Training checkpoints: all that a run needs to go on, written so that a crash at any moment leaves the old file whole.
#pragma once

#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights_file.hpp>

#include <charconv>

SFUMATO_BEGIN

namespace detail {
/// All that a run's bits depend on besides its model and data, by name.
template <class T> std::map<std::string, std::string> settings(const T& trainer) {
  std::map<std::string, std::string> out;
  const auto visit = [&]<class V>(const char* name, const V& value) {
    std::string written;
    if constexpr (std::is_floating_point_v<V>) {
      char digits[32];
      written.assign(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);  // the shortest that reads back
    } else {
      written = text(value);
    }
    check(out.emplace(name, written).second, "option-name", "two options of this run are called ", name);
  };
  visit("element", io::dtype_name(dtype_of<typename T::element>()));
  trainer.options().for_each_option(visit);
  trainer.optimiser.for_each_option(visit);
  if constexpr (requires { trainer.objective.for_each_option(visit); }) trainer.objective.for_each_option(visit);
  else visit("objective", "unnamed");
  return out;
}

}  // namespace detail

/// Saves everything that a run needs to go on: weights, averages, moments; and as metadata the step, the options of training
/// and objective, and the number of training samples.
template <class T> void save_checkpoint(const std::filesystem::path& path, T& trainer) {
  using B = typename T::backend;
  using E = typename T::master;
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
      if (name != "step" && name != "samples" && !wanted.contains(name)) differences += "\n  " + name + ": " + value + ", this run has none";
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
