// Checks implementations of the embedding kernels, of the sort beneath them and of the bigram hash,
// the product's or mutants', against loops.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/bigram_hash.h"
#include "kernels/embedding.h"
#include "kernels/sort_ids.h"

namespace pg::kerneltest {

struct SortFamily {
  decltype(&kernels::sort_ids) sort;
};

struct EmbeddingFamily {
  decltype(&kernels::embed<float>) embed_f32;
  decltype(&kernels::embed<bf16>) embed_bf16;
  decltype(&kernels::embed_backward<float, float>) backward_f32;
  decltype(&kernels::embed_backward<float, bf16>) backward_bf16;
  decltype(&kernels::embed_backward<bf16, bf16>) backward_of_bf16_table;
};

struct EmbeddingCase {
  int64_t rows = 1, vocab = 1, dim = 1;
  size_t offset = 0;  // elements by which the tensors miss 16-byte alignment
  bool accumulate = false;
};

struct BigramHashFamily {
  decltype(&kernels::bigram_hash) hash;
};

struct BigramHashCase {
  int64_t rows = 1, tokens = 1, buckets = 2, first = 0;
  bool trigram = false;
};

// First failure over all types and schedules: a value off, a guard overwritten, a launch that throws.
// "" when there is none.
std::string check_sort(const SortFamily& family, const EmbeddingCase& shape);
std::string check_embedding(const EmbeddingFamily& family, const EmbeddingCase& shape);
std::string check_bigram_hash(const BigramHashFamily& family, const BigramHashCase& shape);

}  // namespace pg::kerneltest
