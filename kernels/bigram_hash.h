// Buckets of bigrams and trigrams.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// hashed[rows]: of row t of each `tokens`, the first row being `first` of them all, M = buckets - 1
// where the ids before it are too few, else ((36313 ids_t) xor (27191 ids_{t-1}) xor, of a trigram,
// (51497 ids_{t-2})) mod M, in int32 arithmetic that wraps (formulas.md 2.2). ids[rows]; those of
// the same sequence that come before lie in front.
void bigram_hash(int32_t* hashed, const int32_t* ids, int64_t rows, int64_t tokens, int64_t buckets,
                 int64_t first, bool trigram, Stream stream);

}  // namespace pg::kernels
