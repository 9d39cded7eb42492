// One pass over the logits: c stays in registers between the maximum, the sums and the output. A warp
// per row of up to 1024 logits, else a block, which makes anew what passes 8192.
#include "kernels/log_probs.h"

#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"
#include "kernels/softcap.h"

namespace pg::kernels {
inline namespace log_probs_kernels {

constexpr int kPack = kPackOf<float>;
constexpr int kKeptPacks = 8;  // per thread: 32 registers

template <int kRowThreads, bool kVector, bool kSided>
__global__ void __launch_bounds__(kBlockThreads)
    log_probs_kernel(Dest<float> log_probs, Dest<float> entropy, const float* __restrict__ logits,
                     SoftcapArgs args, const float* __restrict__ sides, int64_t rows, int vocab) {
  __shared__ float top_partial[kBlockWarps];
  __shared__ double partial[2][kBlockWarps];
  constexpr int kStep = kRowThreads * kPack, kKept = kKeptPacks * kStep;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const int first = thread_in_row<kRowThreads>() * kPack;
  const float* z_row = logits + row * vocab;
  const auto cap = read_form<kSided>(args, sides);

  const auto capped = [&](Pack<float, kPack> z) {
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) z.v[j] = softcap(z.v[j], cap).value;
    return z;
  };
  const auto load_capped = [&](int i) {
    return capped(load_pack<kPack, kVector>(z_row, i, vocab));
  };
  // Calls body(c, first column) for all packs of this thread.
  Pack<float, kPack> kept[kKeptPacks];
  const auto for_each_pack = [&](const auto& body) {
    PG_UNROLL
    for (int k = 0; k < kKeptPacks; ++k) body(kept[k], first + k * kStep);
    if constexpr (kRowThreads == kBlockThreads) {
      for (int i = first + kKept; i < vocab; i += kStep) body(load_capped(i), i);
    }
  };

  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) {
    kept[k] = load_pack<kPack, kVector>(z_row, first + k * kStep, vocab);
  }
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) kept[k] = capped(kept[k]);
  float top = -INFINITY;
  for_each_pack([&](const Pack<float, kPack>& c, int i) {
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) top = i + j < vocab ? fmaxf(top, c.v[j]) : top;
  });
  top = row_max<kRowThreads>(top, top_partial);

  double mass = 0.0, moment = 0.0;  // sums of e^u and of u e^u, u = c - top
  for_each_pack([&](const Pack<float, kPack>& c, int i) {
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) {
      const float u = c.v[j] - top, e = expf(u);
      if (i + j >= vocab) continue;
      mass += static_cast<double>(e);
      moment += static_cast<double>(u * e);
    }
  });
  mass = row_sum<kRowThreads>(mass, partial[0]);
  moment = row_sum<kRowThreads>(moment, partial[1]);
  const double log_mass = log(mass);
  if (first == 0) store_value(entropy, row, static_cast<float>(log_mass - moment / mass));
  if (log_probs.data == nullptr) return;

  const double lse = static_cast<double>(top) + log_mass;
  float* const out_row = log_probs.data + row * vocab;
  for_each_pack([&](const Pack<float, kPack>& c, int i) {
    float out[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) out[j] = static_cast<float>(static_cast<double>(c.v[j]) - lse);
    store_pack<kVector>(out_row, out, i, vocab, log_probs.accumulate);
  });
}

}  // namespace log_probs_kernels

void softcap_log_probs(Dest<float> log_probs, Dest<float> entropy, const float* logits, float cap,
                       float shift, float width, const float* sides, int64_t rows, int64_t vocab,
                       Stream stream) {
  if (rows == 0) return;
  const bool vector =
      has_vector_rows<kPack>(logits, vocab) && has_vector_rows<kPack>(log_probs.data, vocab);
  const bool fits_warp = vocab <= kWarpThreads * kKeptPacks * kPack;
  with_row_variant(fits_warp, vector, [&]<int kRowThreads, bool kVector>() {
    launch(sides != nullptr ? &log_probs_kernel<kRowThreads, kVector, true>
                            : &log_probs_kernel<kRowThreads, kVector, false>,
           grid_of_rows<kRowThreads>(rows), dim3(kBlockThreads), 0, stream, log_probs, entropy,
           logits, SoftcapArgs{cap, shift, 1.0f / width}, sides, rows, static_cast<int>(vocab));
  });
}

}  // namespace pg::kernels
