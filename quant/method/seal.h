// Quantised weights to artifact bytes under the cap, and the counted code beside them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "quant/format/quant_config.h"
#include "quant/format/quant_model.h"
#include "quant/method/code_sizes.h"
#include "src/base/bytes.h"
#include "src/base/work_progress.h"

namespace pg {

// What one coder makes of a model.
struct CoderBytes {
  Coder coder = Coder::kOwn;
  int64_t model_bytes = 0, code_bytes = 0;
  int64_t total_bytes() const { return model_bytes + code_bytes; }
};
// Each coder's, in the order of kCoders. zstd and lzma take seconds for each megabyte.
std::vector<CoderBytes> compare_coders(const QuantModel& model, const CodeSizes& code_bytes,
                                       const WorkProgressFn& progress = {});
// The first of the smallest.
Coder find_smallest(const std::vector<CoderBytes>& coders);

struct PackSummary {
  Coder coder = Coder::kOwn;
  int64_t model_bytes = 0;  // the file
  int64_t code_bytes = 0;
  int64_t total_bytes = 0;  // model + code: what the cap counts
  int64_t cap_bytes = 0;
  double bits_per_weight = 0;           // model file over all parameters
  double entropy_bytes = 0;             // order-0 entropy of the codes of each tensor, summed
  double code_stream_bytes = 0;         // what the codes really took
  std::vector<CoderBytes> coders = {};  // of each, where quant.coder is "auto"
};

struct SealedArtifact {
  Bytes bytes;
  PackSummary summary;
};

// Serialises by quant.coder, whatever model.coder says, and checks that unpack() gives back the very
// same model. Throws Error when model plus code pass the cap, saying by how many bytes.
SealedArtifact seal(QuantModel model, const QuantConfig& quant, const CodeSizes& code_bytes,
                    const WorkProgressFn& progress = {});

// What the model and the scoring of an artifact use beside the base stack and plain sliding windows,
// and so which sources count.
struct CodeFeatures {
  bool learns = false;  // test-time training: learners, gradients, their optimizers
  bool mixes = false;   // n-grams
  bool parts = false;   // a key that stands between "// <parts>" marks
  Coder coder = Coder::kOwn;
  constexpr bool operator==(const CodeFeatures&) const = default;
};
// "plain", or "learning, mixing and parts beyond the base"; with another coder than ours its name: "plain, zstd".
std::string describe_features(const CodeFeatures& features);

// Bytes of the compressed sources needed to decode an artifact and to score it so
// (quant/artifact_sources.txt), as built into this program.
int64_t counted_code_bytes(const CodeFeatures& features);
int64_t counted_code_files(const CodeFeatures& features);
Bytes code_bundle(const CodeFeatures& features);

}  // namespace pg
