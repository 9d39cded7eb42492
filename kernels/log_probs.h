// Log probabilities of softcapped logits, which a score reads.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// Of logits[rows, vocab] with c = cap tanh((z + shift) / width), or z where cap is 0, or s tanh(z / s) where
// `sides` [2] is given (null: not), s its first for z > 0 and its second for the rest:
// log_probs[rows, vocab] = c - lse, entropy[rows] = lse - sum p c, nats. The sums and c - lse are in
// f64. A row that holds a NaN becomes all NaN, its entropy too.
void softcap_log_probs(Dest<float> log_probs, Dest<float> entropy, const float* logits, float cap,
                       float shift, float width, const float* sides, int64_t rows, int64_t vocab,
                       Stream stream);

}  // namespace pg::kernels
