// Inputs of what predicts further tokens, from the targets of the next one.
#include <algorithm>

#include "src/base/check.h"
#include "src/model/model_handles.h"
#include "src/plan/plan.h"

namespace pg {

// Of position t the token at t + 1 + further is the target of head or module `further` - 1; -1 where
// its row has none. The module reads the one before it; where a row has none of these either, what it
// reads counts for nothing, because attention is causal and the position has no target.
void ModelPlan::load_future(std::span<const int32_t> targets) {
  const ForwardTensors& f = handles_->forward;
  const auto rows = static_cast<size_t>(batch_ * seq_len_);
  const auto tokens = static_cast<size_t>(seq_len_);
  PG_CHECK(rows > 0 && tokens > 0, "a plan has rows of tokens");
  const size_t n = targets.size() / rows;  // the first of a position's is the next token
  further_.resize(rows);
  const auto shift_by = [&](size_t distance, int32_t absent) {
    for (size_t first = 0; first < rows; first += tokens) {
      for (size_t t = 0; t < tokens; ++t) {
        const bool is_there = t + distance < tokens;
        further_[first + t] = is_there ? targets[(first + t + distance) * n] : absent;
      }
    }
  };
  for (size_t k = 0; k < f.future_targets.size(); ++k) {
    shift_by(k + 1, -1);
    plan_->write_ids(f.future_targets[k], further_);
    if (f.future_ids.empty()) continue;
    shift_by(k, 0);
    plan_->write_ids(f.future_ids[k], further_);
  }
}

void ModelPlan::read_further_losses(int64_t k, std::span<float> losses) {
  plan_->read(handles_->forward.future_losses[static_cast<size_t>(k)], 0, losses);
}

}  // namespace pg
