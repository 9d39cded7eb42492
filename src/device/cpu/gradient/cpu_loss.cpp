// The softcapped cross-entropy, its gradient and the mean that is reported of it.
//
// A row of logits stays in L1 between its passes: t = tanh(z / cap) into scratch, the largest t,
// the exponentials. The backward pass recomputes t and p = e^(cap t - lse) from the logits and lse.
#include "src/base/exact_math.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/cpu_softcap.h"
#include "src/device/cpu/gradient/cpu_column_sums.h"

namespace pg {
namespace {

using namespace cpu;

// The n weighted targets of a row; negative ones are absent.
struct Targets {
  const int32_t* ids;  // [n]
  const float* weights;
  int64_t n;
  // <parts>
  float row_weight = 1.0f;
  bool stops_at_scores = false;  // where sides are given: the gradient of c, not of z
  // </parts>

  float total_weight() const {
    float total = 0.0f;
    for (int64_t i = 0; i < n; ++i) total += ids[i] < 0 ? 0.0f : weights[i];
    return total;
  }
};

struct RowLoss {
  float loss, lse;
};

RowLoss compute_row_loss(const float* z, float* t, const Targets& targets, const Softcap& form,
                         int64_t vocab) {
  compute_tanh(t, z, form, vocab);
  float cap = form.cap;
  // <parts>
  if (leaves_capped(form)) cap = 1.0f;  // t is c
  // </parts>
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
  // <parts>
  loss *= targets.row_weight;
  // </parts>
  // <train_gpt>
  if (form.z_loss > 0 && targets.total_weight() != 0) {
    loss += form.z_loss * (largest + log_sum) * (largest + log_sum);
  }
  // </train_gpt>
  return {loss, largest + log_sum};
}

// dz[vocab] = dloss (W p - sum_i w_i onehot(y_i)) dc/dz, p = e^(c - lse)
void compute_row_gradient(float* dz, float* t, const float* z, float lse, const Targets& targets,
                          const Softcap& form, float dloss, int64_t vocab) {
  float total = targets.total_weight();
  // <train_gpt>
  const bool has_z_loss = form.z_loss > 0 && total != 0;
  // </train_gpt>
  // <parts>
  total *= targets.row_weight;
  // </parts>
  // <train_gpt>
  if (has_z_loss) total += 2.0f * form.z_loss * lse;
  // </train_gpt>
  // <parts>
  dloss *= form.ratio();
  // </parts>
  const float factor = dloss * total;
  // <parts>
  dloss *= targets.row_weight;
  // </parts>
  const float cap = form.cap;
  compute_tanh(t, z, form, vocab);
  // <parts>
  if (leaves_capped(form)) {
#pragma omp simd
    for (int64_t i = 0; i < vocab; ++i) dz[i] = factor * exp_simd(t[i] - lse);
    for (int64_t i = 0; i < targets.n; ++i) {
      if (targets.ids[i] >= 0) dz[targets.ids[i]] -= dloss * targets.weights[i];
    }
    if (!form.sides || targets.stops_at_scores) return;
    const LogitSides sides(form.sides);
#pragma omp simd
    for (int64_t i = 0; i < vocab; ++i) {
      const float of_cap = t[i] * sides.inverse(z[i]);
      dz[i] *= std::fma(-of_cap, of_cap, 1.0f);
    }
    return;
  }
  // </parts>
#pragma omp simd
  for (int64_t i = 0; i < vocab; ++i) {
    dz[i] = factor * exp_simd(std::fma(cap, t[i], -lse)) * std::fma(-t[i], t[i], 1.0f);
  }
  for (int64_t i = 0; i < targets.n; ++i) {
    const int32_t id = targets.ids[i];
    if (id >= 0) dz[id] -= dloss * targets.weights[i] * (1.0f - t[id] * t[id]);
  }
}

}  // namespace

void CpuOps::softcap_xent(Out loss, Out lse, In logits, In targets, In weights, const Softcap& cap,
                          int64_t rows, int64_t vocab, int64_t n) {
  const auto* const ids = targets.as<int32_t>();
  const auto* const ws = weights.as<float>();
  parallel_ranges(rows, chunk_rows(vocab), [&](int64_t begin, int64_t end) {
    float* const t = thread_floats(*scratch_, thread_index(), kSlotRows, vocab);
    for (int64_t row = begin; row < end; ++row) {
      Targets row_targets{ids + row * n, ws, n};
      // <parts>
      if (cap.row_weights) row_targets.row_weight = cap.row_weights.as<float>()[row];
      // </parts>
      const RowLoss result =
          compute_row_loss(logits.as<float>() + row * vocab, t, row_targets, cap, vocab);
      write_scalar(loss, row, result.loss);
      write_scalar(lse, row, result.lse);
    }
  });
}

void CpuOps::softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights, In dloss,
                                   const Softcap& cap, int64_t rows, int64_t vocab, int64_t n) {
  const auto* const ids = targets.as<int32_t>();
  const auto* const ws = weights.as<float>();
  const float loss_scale = *dloss.as<float>();
  with_activation_type(dlogits.dtype, [&]<class T>() {
    parallel_ranges(rows, chunk_rows(vocab), [&](int64_t begin, int64_t end) {
      float* const t = thread_floats(*scratch_, thread_index(), kSlotRows, 2 * vocab);
      float* const dz = t + vocab;
      for (int64_t row = begin; row < end; ++row) {
        Targets row_targets{ids + row * n, ws, n};
        // <parts>
        if (cap.row_weights) row_targets.row_weight = cap.row_weights.as<float>()[row];
        // </parts>
        compute_row_gradient(dz, t, logits.as<float>() + row * vocab, lse.as<float>()[row],
                             row_targets, cap, loss_scale, vocab);
        write<T>(dlogits, row * vocab, vocab, [dz](int64_t i) { return dz[i]; });
      }
    });
  });
}

// <parts>
void CpuOps::softcap_xent_sides_backward(Out dsides, In logits, In lse, In targets, In weights,
                                         In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                         int64_t n) {
  const auto* const ids = targets.as<int32_t>();
  const auto* const ws = weights.as<float>();
  const float loss_scale = *dloss.as<float>();
  const LogitSides sides(cap.sides);
  const int64_t grain = chunk_rows(vocab);
  const ColumnSums sums(dsides, chunk_count(rows, grain), 2, *scratch_, kSlotPartials);
  parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
    float* const c = thread_floats(*scratch_, thread_index(), kSlotRows, 2 * vocab);
    float* const dc = c + vocab;
    float* const total = sums.start_chunk(begin / grain);
    if (total == nullptr) return;
    for (int64_t row = begin; row < end; ++row) {
      const float* const z = logits.as<float>() + row * vocab;
      Targets row_targets{ids + row * n, ws, n};
      if (cap.row_weights) row_targets.row_weight = cap.row_weights.as<float>()[row];
      row_targets.stops_at_scores = true;
      compute_row_gradient(dc, c, z, lse.as<float>()[row], row_targets, cap, loss_scale, vocab);
      const auto part = [=](int64_t i) {  // of dc/ds
        const float inverse = sides.inverse(z[i]), t = c[i] * inverse;
        return dc[i] * std::fma(-z[i] * inverse, std::fma(-t, t, 1.0f), t);
      };
      total[0] += sum_loop(vocab, [=](int64_t i) { return z[i] > 0 ? part(i) : 0.0f; });
      total[1] += sum_loop(vocab, [=](int64_t i) { return z[i] > 0 ? 0.0f : part(i); });
    }
  });
  sums.combine();
}
// </parts>

void CpuOps::sum(Out sum, In x, double scale, int64_t count) {
  const auto* const xs = x.as<float>();
  const double total =
      sum_chunks(count, kChunkElements, *scratch_, [=](int64_t begin, int64_t end) {
        return sum_loop<double>(
            end - begin, [from = xs + begin](int64_t i) { return static_cast<double>(from[i]); });
      });
  write_double(sum, scale * total);
}

}  // namespace pg
