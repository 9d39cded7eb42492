// Log probabilities, which a score reads.
//
// A row stays in L1 between its passes: c = cap tanh(z / cap) into scratch, the largest c, the
// exponentials. Sums go into lanes whose assignment is written out, so that no compiler's choice of
// vector width changes them.
#include <array>
#include <cmath>

#include "src/base/exact_math.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/cpu_softcap.h"

namespace pg {
namespace {

using namespace cpu;

constexpr int64_t kLanes = 16;

struct RowSums {
  double mass = 0;    // sum of e^u, u = c - largest
  double moment = 0;  // sum of u e^u
};

RowSums sum_row(const float* c, int64_t vocab, float largest) {
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
  for (int64_t i = 0; i < whole; i += kLanes) add(c + i, kLanes);
  add(c + whole, vocab - whole);
  RowSums sums;
  for (size_t lane = 0; lane < static_cast<size_t>(kLanes); ++lane) {
    sums.mass += mass[lane];
    sums.moment += moment[lane];
  }
  return sums;
}

}  // namespace

void CpuOps::softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap,
                               int64_t rows, int64_t vocab) {
  parallel_ranges(rows, chunk_rows(vocab), [&](int64_t begin, int64_t end) {
    float* const c = thread_floats(*scratch_, thread_index(), kSlotRows, vocab);
    for (int64_t row = begin; row < end; ++row) {
      compute_tanh(c, logits.as<float>() + row * vocab, cap, vocab, cap.cap);
      const float largest = max_of(c, vocab);
      const RowSums sums = sum_row(c, vocab, largest);
      const double log_mass = log_f64(sums.mass);
      // A NaN among the logits is in `moment`, if nowhere else.
      const double normaliser =
          std::isfinite(sums.moment) ? static_cast<double>(largest) + log_mass : sums.moment;
      write<float>(log_probs, row * vocab, vocab, [=](int64_t i) {
        return static_cast<float>(static_cast<double>(c[i]) - normaliser);
      });
      write_scalar(entropy, row, static_cast<float>(log_mass - sums.moment / sums.mass));
    }
  });
}
}  // namespace pg
