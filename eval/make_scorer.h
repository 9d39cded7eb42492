// The scorer that a recipe asks for. The score and its audit make it here, so that what is audited
// is what scores.
#pragma once
#include <cstdint>
#include <memory>

#include "eval/score/network_scorer.h"
#include "eval/scoring_config.h"
#include "quant/format/unpack.h"
#include "src/device/device.h"

namespace pg {

// tokens: of the stream that will be scored; a short one needs no bigger plan than its windows
// fill. The device must outlive the scorer.
std::unique_ptr<NetworkScorer> make_scorer(const UnpackedModel& model, const ScoringConfig& config,
                                           Device& device, int64_t tokens);

EvalConfig fit_batch(EvalConfig config, int64_t tokens);

}  // namespace pg
