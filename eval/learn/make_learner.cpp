#include "eval/learn/make_learner.h"

#include <fmt/format.h>

#include "eval/learn/lora_learner.h"
#include "eval/learn/sgd_learner.h"
#include "src/base/error.h"

namespace pg {

std::unique_ptr<Learner> make_learner(const TttConfig& config, const ModelConfig& model,
                                      const EvalConfig& eval, int64_t stream_tokens) {
  if (config.kind == "none") return nullptr;
  if (config.kind == "lora") {
    return std::make_unique<LoraLearner>(config, model, eval, stream_tokens);
  }
  if (config.kind == "sgd" || config.kind == "phased") {
    return std::make_unique<SgdLearner>(config, model, eval.context, stream_tokens);
  }
  throw Error(fmt::format("unknown ttt.kind: \"{}\"; give none, sgd, phased or lora", config.kind));
}

}  // namespace pg
