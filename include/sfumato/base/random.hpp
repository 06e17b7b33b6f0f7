// Philox4x32-10 (Salmon et al., SC 2011): counter-based, so element i of a stream depends on nothing but
// the seed, the stream, the step and i: not on threads, launch size, batch split or backend.
#pragma once

#include <sfumato/base/config.hpp>

#include <array>
#include <cmath>
#include <cstdint>

SFUMATO_BEGIN

/// Four random words for one 128-bit counter and a 64-bit key.
SFUMATO_HD constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

// Random123's published answer for key 0, counter 0.
static_assert(philox({0, 0, 0, 0}, 0) == std::array<std::uint32_t, 4>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});

/// Independent streams drawn from one seed.
enum class Stream : std::uint32_t { init, time, noise, label_dropout, dropout, shuffle, flip, sample, data, user, mask, augment, posterior };

/// One stream of one seed at one step. `step` is the training step; when sampling 0 for the noise to begin with, and a step's number, from 1, for what
/// a solver adds: images are told apart by the index.
struct Random {
  std::uint64_t seed = 0;
  Stream stream = Stream::user;
  std::uint32_t step = 0;

  /// The four words with indices 4*block ... 4*block+3.
  SFUMATO_HD constexpr std::array<std::uint32_t, 4> words(std::uint64_t block) const {
    return philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), step,
                   static_cast<std::uint32_t>(stream)}, seed);
  }
  /// Word `index`, 32 uniform bits.
  SFUMATO_HD constexpr std::uint32_t bits(std::uint64_t index) const { return words(index / 4)[index % 4]; }
  /// Uniform in the open interval (0, 1), 32 bits of resolution.
  SFUMATO_HD constexpr double uniform(std::uint64_t index) const { return uniform_of(bits(index)); }
  /// Uniform integer in [0, n); the bias is below n / 2^32.
  SFUMATO_HD constexpr std::uint32_t below(std::uint64_t index, std::uint32_t n) const {
    return static_cast<std::uint32_t>((std::uint64_t{bits(index)} * n) >> 32);
  }
  /// Four standard normals with indices 4*block ... 4*block+3: Box-Muller in double.
  SFUMATO_HD std::array<double, 4> normals(std::uint64_t block) const {
    const auto w = words(block);
    const auto first = box_muller(w[0], w[1]), second = box_muller(w[2], w[3]);
    return {first[0], first[1], second[0], second[1]};
  }
  /// Standard normal number `index`.
  SFUMATO_HD double normal(std::uint64_t index) const { return normal_of(words(index / 4), index % 4); }

  /// What `uniform` makes of its word, and `normal` of the four of its block.
  SFUMATO_HD static constexpr double uniform_of(std::uint32_t word) { return (word + 0.5) * 0x1p-32; }
  SFUMATO_HD static double normal_of(const std::array<std::uint32_t, 4>& words, std::uint64_t k) {
    return box_muller(words[k / 2 * 2], words[k / 2 * 2 + 1])[k % 2];
  }

 private:
  SFUMATO_HD static std::array<double, 2> box_muller(std::uint32_t u, std::uint32_t v) {
    const double radius = std::sqrt(-2.0 * std::log(uniform_of(u)));
    const double angle = 6.283185307179586476925286766559 * uniform_of(v);
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }
};

SFUMATO_END
