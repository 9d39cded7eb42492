// train.average = "best": which of the averages that a training kept is packed.
#pragma once
#include <cstdint>
#include <vector>

#include "harness/recipe/recipe.h"
#include "harness/record/run_result.h"
#include "quant/method/code_sizes.h"
#include "src/base/clock.h"
#include "src/base/work_progress.h"
#include "src/data/tokenizer.h"
#include "src/device/device.h"
#include "src/train/batches.h"
#include "src/train/trainer.h"

namespace pg {

// What trials have in common.
struct TrialSetup {
  const Recipe& recipe;
  const ByteTable& bytes;
  const Batches& batches;  // with the held-out text
  Device& device;
  Clock& clock;
  CodeSizes code_bytes;  // which share the cap with an artifact
};

// Quantises what was trained, and each of the others, as the recipe says and measures its loss on the
// text that training left out: in the order of `trained`, one where there are no others. Calibration
// is that of the first, on an eighth of quant.calibration_tokens: averages of one training differ little in
// what the loss is sensitive to, and the one that is packed is calibrated in full.
std::vector<AverageTrial> try_averages(const TrialSetup& setup, const TrainResult& trained,
                                       const WorkProgressFn& progress);
// The least loss, of equals the first.
int64_t best_trial(const std::vector<AverageTrial>& trials);
// trained.others[number - 1] becomes what is packed, 0 leaves it; the others go.
void take_average(TrainResult& trained, int64_t number);

// Seconds that try_averages will take of `trained.others` full, from one trial of weights as training
// begins with; 0 where the recipe keeps one average.
double rehearse_choice(const TrialSetup& setup);

}  // namespace pg
