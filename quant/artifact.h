// Quantised weights and the artifact that holds them: quantise, price, seal under the cap.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "quant/low_rank.h"
#include "quant/quant_config.h"
#include "quant/scoring_form.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

struct Calibration;

// Columns [begin, begin + count) on a finer grid of their own: codes up to +-127 and their own row
// steps (AWQ-lite, quant_eval.md 1.2 I).
struct FineColumns {
  int64_t begin = 0, count = 0;       // count 0: none
  std::vector<uint16_t> scales = {};  // [rows] fp16
};

// One parameter as stored. bits 2 to 8: integer codes; the step of weight (r, c) is the row's fp16
// scale or, in a factored grid, step * 2^(row_offsets[r]/4) * 2^(col_offsets[c]/4). bits 16: fp16
// values.
struct QuantTensor {
  std::string name;
  int64_t rows = 0, cols = 0;
  int bits = 16;
  bool is_factored = false;
  std::vector<int8_t> codes = {};  // [rows, cols]; empty for bits = 16
  std::vector<uint16_t> halves =
      {};          // fp16: [rows] scales, or [rows, cols] values; empty if factored
  float step = 0;  // when factored
  std::vector<int8_t> row_offsets = {};  // [rows] when factored, in quarter octaves
  std::vector<int8_t> col_offsets = {};  // [cols] when factored
  FineColumns fine = {};
  LowRank low_rank = {};  // added to the dequantised values; rank 0: none
};

struct QuantModel {
  ModelConfig config;
  Sha256 tokenizer_sha256 = {};
  ScoringForm scoring;
  std::vector<QuantTensor> tensors;  // in list_params order
};

// What is to be quantised, and for whom.
struct QuantInput {
  const ModelConfig* config = nullptr;
  const std::vector<HostTensor>* weights = nullptr;  // full precision, list_params order
  Sha256 tokenizer_sha256 = {};
  ScoringForm scoring;
  const Calibration* calibration = nullptr;  // null: only methods that need none
};

// Predicted and paid per tensor: what the bit allocation chose.
struct TensorLedger {
  std::string name;
  int64_t elements = 0;
  int bits = 16;
  double step = 0;       // geometric mean over the matrix
  double bytes = 0;      // codes and steps, as the coder prices them
  double scale = 0;      // what the method's steps were multiplied with
  double loss_nats = 0;  // predicted rise of the loss per token; 0 without calibration
};

struct QuantResult {
  QuantModel model;
  std::vector<TensorLedger> ledger;  // list_params order
  double step_scale = 1;             // the one number that fill_cap searched
};

// Quantises full-precision weights (quant_eval.md 1.1, 1.2). With quant.fill_cap the steps are
// scaled together until model and code land just under the cap. Throws Error on a non-finite
// weight, naming its tensor, and on a method that needs calibration when there is none.
QuantResult quantize(const QuantInput& input, const QuantConfig& quant, int64_t code_bytes);
// The fp32 values that the codes stand for.
HostTensor dequantize(const QuantTensor& tensor, const ParamSpec& spec);

struct PackSummary {
  int64_t model_bytes = 0;  // the file
  int64_t code_bytes = 0;
  int64_t total_bytes = 0;  // model + code: what the cap counts
  int64_t cap_bytes = 0;
  double bits_per_weight = 0;    // model file over all parameters
  double entropy_bytes = 0;      // order-0 entropy of the codes of each tensor, summed
  double code_stream_bytes = 0;  // what the codes really took
};

struct SealedArtifact {
  Bytes bytes;
  PackSummary summary;
};

// Serialises and checks that unpack() gives back the very same model. Throws Error when model plus
// code pass the cap, saying by how many bytes.
SealedArtifact seal(const QuantModel& model, const QuantConfig& quant, int64_t code_bytes);

// Bytes of the compressed sources needed to decode and score (quant/artifact_sources.txt), as built
// into this program.
int64_t counted_code_bytes();
int64_t counted_code_files();
Bytes code_bundle();

// What a model will take, from shapes alone, before training: `least` no run of this kind has gone
// below, `likely` is typical.
struct PackForecast {
  int64_t least_bytes = 0, likely_bytes = 0;  // code included
};
PackForecast forecast_pack(const ModelConfig& config, const QuantConfig& quant, int64_t code_bytes);
// The projected total of round-to-nearest at the configured steps, priced by the coder's own model:
// fast enough to show during training.
int64_t project_bytes(const std::vector<HostTensor>& weights, const QuantConfig& quant,
                      int64_t code_bytes);

}  // namespace pg
