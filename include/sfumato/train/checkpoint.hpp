// Training checkpoints: all that a run needs to go on, written so that a crash at any moment leaves the old file whole.
#pragma once

#include <sfumato/train/trainer.hpp>
#include <sfumato/train/weights_file.hpp>

#include <charconv>
#include <set>

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

/// Calls visit(prefix, trainer) for each of the trainers in one; for one alone, without a prefix.
template <class T, class Visit> void for_each_part(T& trainer, Visit&& visit) {
  if constexpr (requires { trainer.for_each_part(visit); }) trainer.for_each_part(visit);
  else visit(std::string(), trainer);
}
}  // namespace detail

/// Saves everything that a run needs to go on: weights, averages, moments; and as metadata the step, the options of training
/// and objective, and the number of training samples. Of several trainers in one (`for_each_part`) each has its prefix.
template <class T> void save_checkpoint(const std::filesystem::path& path, T& trainer) {
  using E = typename T::master;
  std::vector<E> host;
  std::vector<io::TensorToWrite> tensors;
  std::map<std::string, std::string> metadata;
  detail::for_each_part(trainer, [&](const std::string& prefix, auto& part) {
    const auto table = parameter_table(part.model());
    part.for_each_buffer([&](const std::string& name, const auto& array) { detail::append_tensors(tensors, table, prefix + name, array, host); });
    for (const auto& [name, value] : detail::settings(part)) metadata[prefix + name] = value;
    metadata[prefix + "step"] = std::to_string(part.step_count());
    metadata[prefix + "samples"] = std::to_string(part.data_size());
  });
  io::write_safetensors(path, tensors, metadata);
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
  const auto entry = [&](const std::string& key) {
    const auto found = file.metadata().find(key);
    check(found != file.metadata().end(), "checkpoint-metadata", path.string(), " has no metadata \"", key, "\": it is not a training checkpoint of this kind");
    return found->second;
  };
  const auto count = [&](const std::string& key) {
    const std::string digits = entry(key);
    check(!digits.empty() && digits.size() < 19 && digits.find_first_not_of("0123456789") == std::string::npos, "checkpoint-metadata", path.string(),
          " has ", key, " \"", digits, "\", expected a number below 10^18");
    return Index{std::stoll(digits)};
  };
  std::map<std::string, std::string> wanted;
  std::set<std::string> counted;
  std::vector<std::pair<Index, Index>> places;  // step and samples of each part
  detail::for_each_part(trainer, [&](const std::string& prefix, auto& part) {
    const Index step = count(prefix + "step");
    check(step < Index{1} << 32, "checkpoint-metadata", path.string(), " has ", prefix, "step ", step, ", expected one below 2^32");
    places.emplace_back(step, resume == Resume::exact ? count(prefix + "samples") : 0);
    counted.insert({prefix + "step", prefix + "samples"});
    for (const auto& [name, value] : detail::settings(part)) wanted[prefix + name] = value;
  });
  if (resume == Resume::exact) {
    std::string differences;
    for (const auto& [name, value] : file.metadata())
      if (!counted.contains(name) && !wanted.contains(name)) differences += "\n  " + name + ": " + value + ", this run has none";
    for (const auto& [name, value] : wanted) {
      const auto found = file.metadata().find(name);
      if (found == file.metadata().end()) differences += "\n  " + name + ": not given, this run has " + value;
      else if (found->second != value) differences += "\n  " + name + ": " + found->second + ", this run has " + value;
    }
    check(differences.empty(), "checkpoint-settings", path.string(), " was made with other settings:", differences);
  }
  detail::for_each_part(trainer, [&](const std::string& prefix, auto& part) {
    std::vector<std::string> prefixes;
    part.for_each_buffer([&](const std::string& name, auto&) { prefixes.push_back(prefix + name + "."); });
    detail::require_same_parameters(file, path.string(), parameter_table(part.model()), prefixes);
  });
  // Nothing is changed before everything is known to fit.
  detail::for_each_part(trainer, [&, i = std::size_t{0}](const std::string& prefix, auto& part) mutable {
    const auto table = parameter_table(part.model());
    part.for_each_buffer([&](const std::string& name, auto& array) { detail::read_parameters(file, table, prefix + name + ".", array); });
    part.resume_at(places[i].first, places[i].second);
    ++i;
  });
}

SFUMATO_END
