// Sums over rows and over everything, in an order that depends on shapes alone: what gradients of
// parameters are.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "src/device/cpu/cpu_loops.h"

namespace pg::cpu {

// total[i] += a[i] b[i]
template <class A, class B>
void add_products(float* total, const A* a, const B* b, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    total[i] = std::fma(static_cast<float>(a[i]), static_cast<float>(b[i]), total[i]);
  }
}

// Sums over rows, one per column: each chunk adds to its own row of partials, which combine in
// chunk order.
class ColumnSums {
 public:
  // Does nothing for an empty target.
  ColumnSums(Out target, int64_t chunks, int64_t dim, CpuScratch& scratch, ScratchSlot slot)
      : target_(target), chunks_(chunks), dim_(dim) {
    if (!target) return;
    partials_ = shared_floats(scratch, slot, chunks * dim);
  }
  // The zeroed partial sums [dim] of a chunk; nullptr when there is no target.
  float* start_chunk(int64_t chunk) const {
    if (partials_ == nullptr) return nullptr;
    std::fill_n(partials_ + chunk * dim_, dim_, 0.0f);
    return partials_ + chunk * dim_;
  }
  // target[i] = factor(i) * sum over chunks.
  template <class Factor>
  void combine(Factor factor) const {
    if (partials_ == nullptr) return;
    constexpr int64_t kGrain = 128;
    parallel_ranges(dim_, kGrain, [&](int64_t begin, int64_t end) {
      float* const total = partials_ + begin;
      for (int64_t chunk = 1; chunk < chunks_; ++chunk) {
        const float* const part = partials_ + chunk * dim_ + begin;
#pragma omp simd
        for (int64_t i = 0; i < end - begin; ++i) total[i] += part[i];
      }
      write<float>(target_, begin, end - begin,
                   [=](int64_t i) { return factor(begin + i) * total[i]; });
    });
  }
  void combine() const {
    combine([](int64_t) { return 1.0f; });
  }

 private:
  Out target_;
  int64_t chunks_, dim_;
  float* partials_ = nullptr;
};

// The sum of part(begin, end) over the chunks of [0, count), in chunk order, in double.
template <class Part>
double sum_chunks(int64_t count, int64_t grain, CpuScratch& scratch, const Part& part) {
  const int64_t chunks = chunk_count(count, grain);
  auto* const parts = static_cast<double*>(scratch.shared(
      kSlotPartials, static_cast<size_t>(std::max<int64_t>(chunks, 1)) * sizeof(double)));
  parallel_ranges(count, grain,
                  [&](int64_t begin, int64_t end) { parts[begin / grain] = part(begin, end); });
  double total = 0.0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) total += parts[chunk];
  return total;
}

inline void write_double(Out y, double value) {
  double& out = *y.as<double>();
  out = y.accumulate ? out + value : value;
}

}  // namespace pg::cpu
