// The softcapped cross-entropy, log probabilities and the scalar reductions.
//
// A row of logits stays in L1 between its passes: t = tanh(z / cap) into scratch, the largest t,
// the exponentials. The backward pass recomputes t and p = e^(cap t - lse) from the logits and lse.
// Sums that a score depends on go into lanes whose assignment is written out, so that no compiler's
// choice of vector width changes them.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "src/base/exact_math.h"
#include "src/base/simd_math.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

// Floats ordered as integers: compilers vectorise an integer maximum without -ffast-math. Its own
// inverse.
int32_t order_bits(int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }

float max_of(const float* z, int64_t count) {
  int32_t largest = std::numeric_limits<int32_t>::min();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) {
    const int32_t ordered = order_bits(std::bit_cast<int32_t>(z[i]));
    largest = ordered > largest ? ordered : largest;
  }
  return std::bit_cast<float>(order_bits(largest));
}

// The n weighted targets of a row; negative ones are absent.
struct Targets {
  const int32_t* ids;  // [n]
  const float* weights;
  int64_t n;

  float total_weight() const {
    float total = 0.0f;
    for (int64_t i = 0; i < n; ++i) total += ids[i] < 0 ? 0.0f : weights[i];
    return total;
  }
};

struct RowLoss {
  float loss, lse;
};

// t = scale tanh(z / cap). A loop of its own: with the exponential or the maximum in one loop the
// chain is too long for a processor to overlap iterations (1.4 times slower on Zen 5).
void compute_tanh(float* t, const float* z, float inverse_cap, int64_t vocab, float scale = 1.0f) {
#pragma omp simd
  for (int64_t i = 0; i < vocab; ++i) t[i] = scale * tanh_simd(z[i] * inverse_cap);
}

RowLoss compute_row_loss(const float* z, float* t, const Targets& targets, float cap,
                         int64_t vocab) {
  compute_tanh(t, z, 1.0f / cap, vocab);
  const float largest = cap * max_of(t, vocab);
  const float sum =
      sum_loop(vocab, [=](int64_t i) { return exp_simd(std::fma(cap, t[i], -largest)); });
  const auto log_sum = static_cast<float>(log_f64(sum));
  float loss = 0.0f;
  for (int64_t i = 0; i < targets.n; ++i) {
    if (targets.ids[i] < 0) continue;
    // Not lse - c: the difference of the two large terms comes first.
    loss += targets.weights[i] * ((largest - cap * t[targets.ids[i]]) + log_sum);
  }
  return {loss, largest + log_sum};
}

// dz[vocab] = dloss (W p - sum_i w_i onehot(y_i)) (1 - (c/cap)^2), p = e^(c - lse)
void compute_row_gradient(float* dz, float* t, const float* z, float lse, const Targets& targets,
                          float cap, float dloss, int64_t vocab) {
  const float factor = dloss * targets.total_weight();
  compute_tanh(t, z, 1.0f / cap, vocab);
#pragma omp simd
  for (int64_t i = 0; i < vocab; ++i) {
    dz[i] = factor * exp_simd(std::fma(cap, t[i], -lse)) * std::fma(-t[i], t[i], 1.0f);
  }
  for (int64_t i = 0; i < targets.n; ++i) {
    const int32_t id = targets.ids[i];
    if (id >= 0) dz[id] -= dloss * targets.weights[i] * (1.0f - t[id] * t[id]);
  }
}

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

void write_double(Out y, double value) {
  double& out = *y.as<double>();
  out = y.accumulate ? out + value : value;
}

}  // namespace

void CpuOps::softcap_xent(Out loss, Out lse, In logits, In targets, In weights, float cap,
                          int64_t rows, int64_t vocab, int64_t n) {
  const auto* const ids = targets.as<int32_t>();
  const auto* const ws = weights.as<float>();
  parallel_ranges(rows, chunk_rows(vocab), [&](int64_t begin, int64_t end) {
    float* const t = thread_floats(*scratch_, thread_index(), kSlotRows, vocab);
    for (int64_t row = begin; row < end; ++row) {
      const Targets row_targets{ids + row * n, ws, n};
      const RowLoss result =
          compute_row_loss(logits.as<float>() + row * vocab, t, row_targets, cap, vocab);
      write_scalar(loss, row, result.loss);
      write_scalar(lse, row, result.lse);
    }
  });
}

void CpuOps::softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights, In dloss,
                                   float cap, int64_t rows, int64_t vocab, int64_t n) {
  const auto* const ids = targets.as<int32_t>();
  const auto* const ws = weights.as<float>();
  const float loss_scale = *dloss.as<float>();
  with_activation_type(dlogits.dtype, [&]<class T>() {
    parallel_ranges(rows, chunk_rows(vocab), [&](int64_t begin, int64_t end) {
      float* const t = thread_floats(*scratch_, thread_index(), kSlotRows, 2 * vocab);
      float* const dz = t + vocab;
      for (int64_t row = begin; row < end; ++row) {
        const Targets row_targets{ids + row * n, ws, n};
        compute_row_gradient(dz, t, logits.as<float>() + row * vocab, lse.as<float>()[row],
                             row_targets, cap, loss_scale, vocab);
        write<T>(dlogits, row * vocab, vocab, [dz](int64_t i) { return dz[i]; });
      }
    });
  });
}

void CpuOps::softcap_log_probs(Out log_probs, Out entropy, In logits, float cap, int64_t rows,
                               int64_t vocab) {
  parallel_ranges(rows, chunk_rows(vocab), [&](int64_t begin, int64_t end) {
    float* const c = thread_floats(*scratch_, thread_index(), kSlotRows, vocab);
    for (int64_t row = begin; row < end; ++row) {
      compute_tanh(c, logits.as<float>() + row * vocab, 1.0f / cap, vocab, cap);
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

void CpuOps::sum(Out sum, In x, double scale, int64_t count) {
  const auto* const xs = x.as<float>();
  const double total =
      sum_chunks(count, kChunkElements, *scratch_, [=](int64_t begin, int64_t end) {
        return sum_loop<double>(
            end - begin, [from = xs + begin](int64_t i) { return static_cast<double>(from[i]); });
      });
  write_double(sum, scale * total);
}

void CpuOps::sum_squares(Out sums, In x, const MatrixBatch& shape, int64_t sums_stride) {
  const int64_t size = shape.size(), pieces = count_sum_pieces(size);
  parallel_chunks(shape.count * pieces, [&](int64_t chunk) {
    const int64_t matrix = chunk / pieces, piece = chunk % pieces;
    const auto* const xs = x.as<float>() + matrix * shape.stride;
    const int64_t begin = piece * kSumPiece;
    sums.as<double>()[matrix * sums_stride + piece] =
        sum_loop<double>(std::min(kSumPiece, size - begin), [from = xs + begin](int64_t i) {
          const double value = from[i];
          return value * value;
        });
  });
}

void CpuOps::sum_pieces(Out sum, In pieces, int64_t count) {
  auto* const sums = static_cast<double*>(scratch_->shared(
      kSlotPartials, static_cast<size_t>(std::max<int64_t>(count, 1)) * sizeof(double)));
  std::copy_n(pieces.as<double>(), count, sums);
  for (int64_t width = 1; width < count; width *= 2) {
    for (int64_t i = 0; i + width < count; i += 2 * width) sums[i] += sums[i + width];
  }
  write_double(sum, count > 0 ? sums[0] : 0.0);
}

void CpuOps::clip_coefficient(Out coefficient, In squares, float max_norm) {
  constexpr double kNormFloor = 1e-6;  // as torch.nn.utils.clip_grad_norm_
  const double norm = std::sqrt(*squares.as<double>());
  double clip = max_norm > 0.0f ? std::min(1.0, max_norm / (norm + kNormFloor)) : 1.0;
  if (!std::isfinite(norm)) clip = std::numeric_limits<double>::quiet_NaN();
  write_scalar(coefficient, 0, static_cast<float>(clip));
}

}  // namespace pg
