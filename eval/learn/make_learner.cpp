#include "eval/learn/make_learner.h"

#include "eval/learn/lora_learner.h"
// <parts>
#include "eval/learn/phased_lora_learner.h"
// </parts>
#include "eval/learn/sgd_learner.h"

namespace pg {

std::unique_ptr<Learner> make_learner(const TttConfig& config, const ModelConfig& model,
                                      const EvalConfig& eval, int64_t stream_tokens) {
  switch (config.kind) {
    case TttKind::kNone:
      break;
    case TttKind::kSgd:
    case TttKind::kPhased:
      return std::make_unique<SgdLearner>(config, model, eval.context, stream_tokens);
    case TttKind::kLora:
      return std::make_unique<LoraLearner>(config, model, eval, stream_tokens);
    // <parts>
    case TttKind::kPhasedLora:
      return std::make_unique<PhasedLoraLearner>(config, model, eval, stream_tokens);
      // </parts>
  }
  return nullptr;
}

}  // namespace pg
