// What must have the same bits on every processor when the device is cpu:exact, as titles and hashes: the
// parts of training, scoring and packing, each small. exact_digests_main.cpp compares them with a table.
//
// No test framework and no library beside: the program is also built for other processors.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/base/hash.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

struct Digest {
  std::string title;
  uint64_t hash;
};
using Digests = std::vector<Digest>;

template <class T>
uint64_t digest_of(const std::vector<T>& values, uint64_t hash = kFnvOffset) {
  return fnv1a({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)}, hash);
}
uint64_t digest_of(const std::vector<HostTensor>& tensors);

// Two layers with every switch of the model on.
ModelConfig exact_model_config();
// Text that repeats itself here and there, in the vocabulary of that model.
std::vector<int32_t> exact_text(int64_t tokens, uint64_t seed);
// That model after 50 steps of Muon and AdamW on such text, averaged.
std::vector<HostTensor> train_exact_model();

void digest_tables(Digests& digests);    // of scalars: initial weights, schedules
void digest_training(Digests& digests);  // a forward pass, steps, averages
void digest_learners(Digests& digests);  // test-time training
void digest_mixers(Digests& digests);
void digest_coding(Digests& digests);   // of text
void digest_packing(Digests& digests);  // of the trained model, by each method

}  // namespace pg
