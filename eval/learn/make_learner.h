// The learner that a recipe's [ttt] section asks for.
#pragma once
#include <cstdint>
#include <memory>

#include "eval/learn/ttt_config.h"
#include "eval/score/eval_config.h"
#include "eval/score/learner.h"
#include "src/model/model_config.h"

namespace pg {

// Null for kind "none". stream_tokens: of the stream that will be scored. Throws Error when the
// keys do not fit each other or the model.
std::unique_ptr<Learner> make_learner(const TttConfig& config, const ModelConfig& model,
                                      const EvalConfig& eval, int64_t stream_tokens);

}  // namespace pg
