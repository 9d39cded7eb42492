// PR #1033's n-gram cache on a real text, beside what shows that its number is none.
#pragma once
#include <cstdint>

#include "eval/diagnosis/published_mixer.h"
#include "eval/scoring_config.h"
#include "quant/format/unpack.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/device/device.h"

namespace pg {

// Not a score, and nothing that a record accepts.
struct PublishedDiagnosis {
  double network_bits_per_byte = 0;     // the honest score of the same pass
  double claimed_bits_per_byte = 0;     // what the published arithmetic reports
  double normalised_bits_per_byte = 0;  // the same counts as a distribution, from sampled targets
  double sum_over_vocabulary = 0;       // mean of the cache's values at sampled targets; 1 if legal
  int64_t tokens = 0, bytes = 0, sampled_tokens = 0;
  RandomTokenCost random;  // on uniform tokens, at 15 entries a bucket
};

PublishedDiagnosis diagnose_published_mixer(const UnpackedModel& model, const ByteTable& bytes,
                                            const TokenStream& val, const EvalConfig& config,
                                            Device& device);

}  // namespace pg
