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
// fill. The device and `share`, which may be null, must outlive the scorer. Only rank 0's mixes.
std::unique_ptr<NetworkScorer> make_scorer(const UnpackedModel& model, const ScoringConfig& config,
                                           Device& device, int64_t tokens,
                                           WindowShare* share = nullptr);

EvalConfig fit_batch(EvalConfig config, int64_t tokens, const WindowShare* share);

}  // namespace pg
