// Records the forward pass of the model into a plan.
#pragma once
#include <cstdint>
// <train_gpt>
#include <vector>
// </train_gpt>

#include "src/model/model_config.h"
#include "src/plan/plan.h"

namespace pg {

// <train_gpt>
// What training adds to the loss of the next token (formulas.md 3.7). All off: nothing.
struct LossTerms {
  int64_t future_heads = 0;    // plain linear maps, the k-th of the token k + 1 further on
  int64_t future_modules = 0;  // the same by a block each
  double future_weight = 0;    // of the mean of their losses
  float z_loss = 0;            // of lse^2 of a position
  int64_t future_count() const { return future_heads + future_modules; }
};
// </train_gpt>

// What of the forward pass is needed.
struct ForwardOptions {
  bool with_loss = true;
  // Logits of the last so many positions of each row, and their losses; 0: of all seq_len. What only
  // other positions need is left out: the head, and the last block behind its attention.
  int64_t last_positions = 0;
  int64_t targets = 1;  // n, of a position
  // <parts>
  bool has_row_weights = false;  // of the positions' losses: ModelPlan::load_row_weights
  // </parts>
  // <train_gpt>
  LossTerms terms = {};
  // s, tokens of a bag (token superposition, arXiv:2605.06546): a position reads the mean of what s
  // tokens give; ids are then [batch*seq_len, s].
  int64_t bag = 1;
  // > 0: a row holds several sequences, none of them longer, which attend within themselves alone and
  // whose positions begin anew: ModelPlan::load_starts. What reads neighbours or their ids, smear gates
  // and bigrams, reads across, as the records do; token_smear stops at bos_id.
  int64_t longest_sequence = 0;
  // </train_gpt>
  // <parts>
  const Plan* lends_arena = nullptr;  // Plan::borrow_arena_of
  // </parts>
};

// P = last_positions, or seq_len.
struct ForwardTensors {
  Tensor ids;             // [batch*seq_len, 1] int32, input
  Tensor targets;         // [batch*P, n] int32, input; absent without a loss
  Tensor target_weights;  // [1, n] f32, constant
  Tensor row_weights;     // [batch*P, 1] f32, constant, of the positions; absent unless asked for
  Tensor logits;          // [batch*P, vocab] f32, before the softcap
  Tensor loss;            // [batch*P, 1] f32, nats; absent without a loss
  Tensor log_probs, entropy;  // [batch*P, vocab], [batch*P, 1] f32, nats; absent with a loss
  Tensor mean_loss;           // [1] f64 of loss; with `accumulate`, of the runs so far, added up
  // <train_gpt>
  // Of each further token, [batch*seq_len, 1] int32, inputs: what a module reads, and the targets.
  std::vector<Tensor> future_ids, future_targets;
  Tensor starts;  // [batch*seq_len, 1] int32, input: PackedRows; absent unless asked for
  std::vector<Tensor> future_losses;  // f32, weighted: what they add to the mean of `loss`
  // </train_gpt>
};

ForwardTensors record_forward(Plan& plan, const ModelConfig& config, int64_t batch, int64_t seq_len,
                              const ForwardOptions& options = {});

}  // namespace pg
