// Counter-based random numbers: value = f(seed, stream, index). No state, so any thread or rank may
// draw any element and all agree; a resumed run continues where it stopped by index alone.
#pragma once
#include <cmath>
#include <cstdint>
#include <numbers>

#include "src/base/exact_math.h"

namespace pg {

// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators", 2014).
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

class CounterRng {
 public:
  // `stream` separates uses of one seed (weight init, data order, sampling).
  constexpr CounterRng(uint64_t seed, uint64_t stream) : key_(mix64(mix64(seed) ^ stream)) {}

  constexpr uint64_t bits(uint64_t index) const { return mix64(key_ ^ mix64(index)); }
  // Uniform in [0, 1) with 53 random bits.
  constexpr double uniform(uint64_t index) const {
    return static_cast<double>(bits(index) >> 11) * 0x1.0p-53;
  }
  // Uniform integer in [0, n), n > 0; multiply-shift, bias below n / 2^64.
  constexpr uint64_t below(uint64_t index, uint64_t n) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(bits(index)) * n) >> 64);
  }
  // Standard normal by Box-Muller from two uniforms of this index.
  double normal(uint64_t index) const {
    const double u = 1.0 - uniform(2 * index);  // in (0, 1]: log is finite
    const double v = uniform(2 * index + 1);
    return std::sqrt(-2.0 * log_f64(u)) * sin_cos_f64(2.0 * std::numbers::pi * v).cos;
  }

 private:
  uint64_t key_;
};

// Streams in use. One number each, for ever: changing one changes every run.
enum RngStream : uint64_t {
  kStreamWeightInit = 1,
  kStreamDataOrder = 2,
  kStreamSampling = 3,
  kStreamTest = 4,
};

}  // namespace pg
