// In place of eval/learn.
#include "eval/learn/make_learner.h"
#include "eval/scorer/left_out.h"

namespace pg {

std::unique_ptr<Learner> make_learner(const TttConfig& config, const ModelConfig&,
                                      const EvalConfig&, int64_t) {
  if (config.kind == TttKind::kNone) return nullptr;
  throw Error("this scorer was built without learning; build the one that learns");
}

}  // namespace pg
