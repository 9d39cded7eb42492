// Full-precision weights to quantised ones, by the methods of [quant].
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "quant/format/quant_config.h"
#include "quant/format/quant_model.h"
#include "quant/method/code_sizes.h"
#include "src/base/work_progress.h"

namespace pg {

struct Calibration;

// What is to be quantised, and for whom.
struct QuantInput {
  const ModelConfig* config = nullptr;
  const std::vector<HostTensor>* weights = nullptr;  // full precision, list_params order
  Sha256 tokenizer_sha256 = {};
  std::string scoring_keys;                  // how the artifact is scored: eval/scoring_keys.h
  const Calibration* calibration = nullptr;  // null: only methods that need none
  WorkProgressFn progress = {};
};

// Predicted and paid per tensor: what the bit allocation chose.
struct TensorAllocation {
  std::string name;
  int64_t elements = 0;
  int bits = 16;
  double scale = 0;       // geometric mean over the matrix
  double bytes = 0;       // codes and scales, as our coder prices them, whichever packs
  double coarseness = 0;  // what the method's scales were multiplied with
  double loss_nats = 0;   // predicted rise of the loss per token; 0 without calibration
};

struct QuantResult {
  QuantModel model;
  std::vector<TensorAllocation> allocation;  // list_params order
  double coarseness = 1;                     // the one number that fill_cap searched
};

// Quantises full-precision weights (formulas.md 4.1, 1.2). With quant.fill_cap the scales are
// scaled together until model and code land just under the cap. Throws Error on a non-finite
// weight, naming its tensor, and on a method that needs calibration when there is none.
// quant.coder says what has to fit; auto takes the coder that packs the smallest at a guess of the
// scales.
QuantResult quantize(const QuantInput& input, const QuantConfig& quant,
                     const CodeSizes& code_bytes);

}  // namespace pg
