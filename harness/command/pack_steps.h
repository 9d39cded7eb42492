// From weights to a sealed artifact, as `run` and `pack` both do it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"
#include "quant/method/calibration.h"
#include "quant/method/quantize.h"
#include "src/base/clock.h"
#include "src/device/device.h"
#include "src/train/batches.h"

namespace pg {

// Whether the recipe's quantiser asks for calibration at all.
bool needs_calibration(const QuantConfig& quant);
// Hessians and sensitivities on quant.calibration_tokens of training text, in the loader's order;
// empty when the recipe needs none.
Calibration calibrate_weights(const Recipe& recipe, const std::vector<HostTensor>& weights,
                              const Batches& batches, Device& device,
                              const WorkProgressFn& progress);

// Seconds that calibrate_weights will take on this device, from a part of it done on weights as
// training begins with and on ids of no text: what is known before the clock of training starts.
// Takes two batches and what they need, and another second where a batch is short; at most about as
// long as the answer. 0 where nothing is to be calibrated.
double rehearse_calibration(const Recipe& recipe, Device& device, Clock& clock);

// What a rehearsal takes in place of text: the vocabulary over and over.
std::vector<int32_t> make_rehearsal_ids(int64_t count, int64_t vocab_size);
// calibrate_weights on one batch of these.
Calibration calibrate_in_rehearsal(const Recipe& recipe, const std::vector<HostTensor>& weights,
                                   Device& device);

QuantResult quantize_weights(const Recipe& recipe, const std::vector<HostTensor>& weights,
                             const Sha256& tokenizer_sha256, const Calibration& calibration,
                             const CodeSizes& code_bytes, const WorkProgressFn& progress);

// What each tensor was given: bits, scale, bytes, predicted loss; a table for people.
std::string format_allocation(const std::vector<TensorAllocation>& allocation);

}  // namespace pg
