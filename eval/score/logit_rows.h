// From a network's raw logits to its distributions: softcap, normaliser and entropy in one pass
// over each row.
#pragma once
#include <cstdint>
#include <span>

namespace pg {

// logits [rows, vocab], before the softcap on entry, afterwards log probabilities: softcapped
// logits minus their log sum of exponentials, so that what is left to subtract is 0. The sum is in
// f64 and in a fixed order; a rounding then differs from token to token, and the probabilities of a
// row add up to 1 within 1e-7 also where the normaliser is large. A row that holds a NaN becomes
// all NaN. entropies [rows], nats. cap > 0: logit' = cap tanh(logit / cap).
void normalise_logits(std::span<float> logits, int64_t vocab, float cap,
                      std::span<float> entropies);

}  // namespace pg
