// What the training commands with an adversary have in common: options, and an AdversarialTrainer by them.
#pragma once

#include "training.hpp"

#include <sfumato/train/adversary.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace example {

struct AdversarialArguments {
  std::string network;
  double adversarial_weight = 0.75, discriminator_rate = 2e-4;
  std::optional<double> discriminator_from, adversarial_from;

  double discriminator_begin() const { return discriminator_from.value_or(6.0 / 16); }  // RAE: epochs 6 and 8 of 16
  double adversarial_begin() const { return adversarial_from.value_or(std::max(8.0 / 16, discriminator_begin())); }
  /// Throws Error("options").
  void validate(bool resume) const {
    using sfumato::check;
    for (const auto& [share, what] : {std::pair{discriminator_begin(), "--discriminator-from"}, {adversarial_from.value_or(0), "--adversarial-from"}})
      check(std::isfinite(share) && share >= 0 && share <= 1, "options", what, " must be a share of the run, from 0 to 1, found ", share);
    check(resume || adversarial_begin() >= discriminator_begin(), "options", "--adversarial-from must not be less than --discriminator-from, which is ", discriminator_begin(), ", found ", adversarial_begin());
    for (const auto& [value, what] : {std::pair{discriminator_rate, "--discriminator-rate"}, {adversarial_weight, "--adversarial"}})
      check(std::isfinite(value) && value >= 0, "options", what, " must be finite and not negative, found ", value);
  }
};

/// `network`: what --network says of itself.
inline void add_adversarial_options(CLI::App& command, AdversarialArguments& a, const char* network) {
  command.add_option("--adversarial", a.adversarial_weight, "weight of the adversary's opinion; 0: none is trained")->capture_default_str();
  command.add_option("--network", a.network, network);
  command.add_option("--discriminator-from", a.discriminator_from, "share of the run after which the adversary is trained; 6/16 if left out");
  command.add_option("--adversarial-from", a.adversarial_from, "share of the run after which its opinion counts; 8/16 if left out");
  command.add_option("--discriminator-rate", a.discriminator_rate, "the adversary's learning rate; a tenth of it in the end")->capture_default_str();
}

/// Makes AdversarialTrainers `T`, for `run_trainer`, whose generators are trained for `objective`.
template <class T> auto adversarial_maker(TrainingArguments& a, const AdversarialArguments& by, typename T::backend& device, const typename T::Network& network, typename T::Objective objective) {
  using sfumato::Index;
  a.phases = {0, by.discriminator_begin(), by.adversarial_begin()};
  // A resumed run keeps its beginnings, whatever its length is now, unless others are asked for.
  auto begun = a.resume ? sfumato::io::SafetensorsFile(a.loop.checkpoint).metadata() : std::map<std::string, std::string>{};
  return [&a, &by, &device, &network, objective = std::move(objective), begun = std::move(begun)] {
    const auto step_at = [&](bool asked, double share, const char* kept) {
      if (const auto found = begun.find(kept); !asked && found != begun.end()) return Index{std::atoll(found->second.c_str())};
      return a.measured ? (share <= *a.measured ? Index{0} : a.loop.steps) : Index(share * double(a.loop.steps));
    };
    auto heeds = objective;
    heeds.adversarial.from = step_at(by.adversarial_from.has_value(), by.adversarial_begin(), "objective.adversarial.from");
    typename T::DiscriminatorOptions other{a.train, {.beta1 = 0.5, .beta2 = 0.9, .weight_decay = 0}, step_at(by.discriminator_from.has_value(), by.discriminator_begin(), "discriminator.objective.from")};
    other.train.total_steps = std::max<Index>(1, a.loop.steps - other.from);
    other.train.hold = std::clamp<Index>(a.train.hold - other.from, 0, other.train.total_steps - 1);
    other.train.learning_rate = by.discriminator_rate;
    other.train.minimum_rate = by.discriminator_rate / 10;
    return std::make_unique<T>(device, heeds, network, a.train, a.optimiser, other);
  };
}

}  // namespace example
