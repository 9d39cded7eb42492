// A row stays in cache between its passes. Sums go into 16 lanes whose assignment is written out
// here, so that no compiler's choice of vector width changes them.
#include "eval/score/logit_rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "src/base/check.h"
#include "src/base/simd_math.h"
#include "src/base/threads.h"

namespace pg {
namespace {

constexpr int64_t kLanes = 16;
// Elements that a thread takes at once: some 10 us of work, and few enough to share a small batch.
constexpr int64_t kChunkElements = 16384;

// Floats ordered as integers: compilers vectorise an integer maximum without -ffast-math. Its own
// inverse.
int32_t order_bits(int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }

// z = cap tanh(z / cap); gives the largest.
float softcap_row(float* z, int64_t vocab, float cap) {
  const float inverse_cap = 1.0f / cap;
  // Two loops: with the maximum in the first one the chain is too long to overlap iterations.
#pragma omp simd
  for (int64_t i = 0; i < vocab; ++i) z[i] = cap * tanh_simd(z[i] * inverse_cap);
  int32_t largest = std::numeric_limits<int32_t>::min();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < vocab; ++i) {
    const int32_t ordered = order_bits(std::bit_cast<int32_t>(z[i]));
    largest = ordered > largest ? ordered : largest;
  }
  return std::bit_cast<float>(order_bits(largest));
}

struct RowSums {
  double mass = 0;    // sum of e^u, u = z - largest
  double moment = 0;  // sum of u e^u
};

RowSums sum_row(const float* z, int64_t vocab, float largest) {
  std::array<double, kLanes> mass = {}, moment = {};
  const auto add = [&](const float* from, int64_t count) {
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      const float u = from[j] - largest;
      const float e = exp_simd(u);
      const auto lane = static_cast<size_t>(j);
      mass[lane] += static_cast<double>(e);
      moment[lane] += static_cast<double>(u * e);  // a NaN in u survives here
    }
  };
  const int64_t whole = vocab / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) add(z + i, kLanes);
  add(z + whole, vocab - whole);
  RowSums sums;
  for (size_t lane = 0; lane < static_cast<size_t>(kLanes); ++lane) {
    sums.mass += mass[lane];
    sums.moment += moment[lane];
  }
  return sums;
}

// Gives the entropy.
float normalise_row(float* z, int64_t vocab, float cap) {
  const float largest = softcap_row(z, vocab, cap);
  const RowSums sums = sum_row(z, vocab, largest);
  if (!std::isfinite(sums.moment)) {
    std::fill(z, z + vocab, std::numeric_limits<float>::quiet_NaN());
    return std::numeric_limits<float>::quiet_NaN();
  }
  const double log_mass = std::log(sums.mass);
  const double normaliser = static_cast<double>(largest) + log_mass;
#pragma omp simd
  for (int64_t i = 0; i < vocab; ++i) {
    z[i] = static_cast<float>(static_cast<double>(z[i]) - normaliser);
  }
  return static_cast<float>(log_mass - sums.moment / sums.mass);
}

}  // namespace

void normalise_logits(std::span<float> logits, int64_t vocab, float cap,
                      std::span<float> entropies) {
  const auto rows = static_cast<int64_t>(entropies.size());
  PG_CHECK(static_cast<int64_t>(logits.size()) == rows * vocab, "logits of another shape");
  const int64_t grain = std::max<int64_t>(1, kChunkElements / vocab);
  parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      entropies[static_cast<size_t>(row)] = normalise_row(logits.data() + row * vocab, vocab, cap);
    }
  });
}

}  // namespace pg
