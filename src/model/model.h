// The model as plans over shared weights: one class records the forward pass (and, for training,
// its gradient) for one batch shape and replays it. The forward pass itself is in forward.cpp and
// reads like the paper.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

class Plan;
struct ForwardOptions;

// Every parameter of the model, in a fixed order, with its shape, group and initial value.
std::vector<ParamSpec> list_params(const ModelConfig& config);
int64_t count_params(const ModelConfig& config);

// <parts>
// Depth recurrence (parameter-golf records from 2026-04-05 on; formulas.md 2.6): blocks loop_first to
// loop_last run loop_passes times, one after another, with all that is theirs. So many more runs of
// blocks than blocks:
constexpr int64_t loop_runs(const ModelConfig& c) {
  return (c.loop_passes - 1) * (c.loop_last - c.loop_first + 1);
}
// The block that runs as the v-th.
constexpr int64_t block_of_run(const ModelConfig& c, int64_t v) {
  if (v <= c.loop_last) return v;
  if (v > c.loop_last + loop_runs(c)) return v - loop_runs(c);
  return c.loop_first + (v - c.loop_first) % (c.loop_last - c.loop_first + 1);
}
// The layer of adapters that the v-th run has of its own (AdapterConfig::per_run).
constexpr int64_t adapter_layer_of_run(const ModelConfig& c, int64_t v) { return c.layers + v; }
// </parts>
// Which blocks carry what: the first half of the blocks are the encoder of the U-Net, the rest the
// decoder.
constexpr int64_t encoder_blocks(const ModelConfig& c) { return c.layers / 2; }
constexpr int64_t skip_count(const ModelConfig& c) {
  // <parts>
  if (c.unet_skips) return (c.layers + loop_runs(c)) / 2;
  // </parts>
  return c.unet_skips ? encoder_blocks(c) : 0;
}
// <parts>
// The layers of "9,10"; one of -1 where something else stands.
std::vector<int64_t> read_layers(std::string_view text);
bool names_layer(const ModelConfig& config, int64_t layer);  // value_embed_at does
bool lists(std::string_view text, int64_t number);           // "9,10" does 9
// What the mix behind a run of mudd_at is of: the last so many of the embedding and what the runs gave.
int64_t mudd_sources(const ModelConfig& config, int64_t run);
// Whether the values of a block are a product of their own, not joined with queries and keys.
bool takes_values_apart(const ModelConfig& config, int64_t layer);
// </parts>
// <parts>
constexpr bool is_parallel(const ModelConfig& c, int64_t layer) {
  return c.parallel_residual != ParallelResidual::kNone && layer >= c.parallel_from;
}
constexpr bool runs_in_lanes(const ModelConfig& c, int64_t layer) {
  return is_parallel(c, layer) && c.parallel_residual != ParallelResidual::kGptj;
}
// Channels of a block's normed input that its attention gates read; 0: there are none.
constexpr int64_t attention_gate_width(const ModelConfig& c) {
  using enum AttentionGate;
  if (c.attention_gate == kNone) return 0;
  const bool reads_few = c.attention_gate == kOutput || c.attention_gate == kSparse;
  return reads_few ? c.attention_gate_width : c.dim;
}
// </parts>
inline bool has_value_embedding(const ModelConfig& c) {
  // <parts>
  if (!c.value_embed_at.empty()) return c.value_embed_dim > 0;
  // </parts>
  return c.value_embed_dim > 0 && c.value_embed_layers > 0;
}
inline bool uses_value_embedding(const ModelConfig& c, int64_t layer) {
  // <parts>
  if (!c.value_embed_at.empty()) return has_value_embedding(c) && names_layer(c, layer);
  // </parts>
  return has_value_embedding(c) && layer >= c.layers - c.value_embed_layers;
}
constexpr bool uses_xsa(const ModelConfig& c, int64_t layer) {
  return layer >= c.layers - c.xsa_last_n;
}

enum class PlanMode : uint8_t {
  kTrain,     // forward, loss, gradients
  kScore,     // forward and the loss of every position
  kLogProbs,  // forward and the log probabilities of every position
  kDecode,    // the same of a batch of one, some positions at a time: run_rows()
};

class ModelPlan {
 public:
  // Weights and device must outlive this. One plan serves one shape: `batch` rows of `seq_len`
  // tokens. last_positions > 0: log probabilities, or losses, of the last so many positions of each
  // row alone, which saves the work that only the others need. `targets`: of a position in kTrain.
  ModelPlan(const ModelConfig& config, Weights& weights, int64_t batch, int64_t seq_len,
            PlanMode mode, int64_t last_positions = 0, int64_t targets = 1);
  // The same; with_loss is the mode's.
  ModelPlan(const ModelConfig& config, Weights& weights, int64_t batch, int64_t seq_len,
            PlanMode mode, ForwardOptions options);
  ~ModelPlan();
  ModelPlan(ModelPlan&&) noexcept;

  int64_t batch() const { return batch_; }
  int64_t seq_len() const { return seq_len_; }

  // Sets ids [batch, seq_len] and targets [batch, seq_len, n], or of the last positions alone; both
  // must lie below vocab_size, and a target of -1 is left out. In kLogProbs and kDecode there are no
  // targets.
  void load(std::span<const int32_t> ids, std::span<const int32_t> targets);
  // In kTrain the gradients in Weights are overwritten, or added to when `accumulate`; they are
  // those of what plans read until Weights::finish_gradients().
  void run(bool accumulate = false);
  // <parts>
  // Weights of the positions' losses in the runs to come, [batch, seq_len], of a plan with them.
  void load_row_weights(std::span<const float> weights);
  // </parts>
  // In kDecode, where Device::rows_are_independent(): the positions [first, first + count) once
  // those before have run with the same ids and weights; each as run() gives it, to be read before
  // the next call.
  void run_rows(int64_t first, int64_t count);
  // Scales the loss's gradient in the runs to come (1 / micro-batches); 1 at first.
  void set_loss_scale(float scale);
  // Weights [n] of a position's targets in the runs to come; all 1 at first.
  void set_target_weights(std::span<const float> weights);

  // Mean loss in nats per token of the last run, with `accumulate` the sum of those so far. Waits
  // for the device.
  double mean_loss();
  const double* device_mean_loss() const;  // where it lies
  // -log p(target) in nats of every position, [batch, seq_len]. Waits for the device.
  void read_token_losses(std::span<float> losses);
  // <train_gpt>
  // Where in its row the sequence of each position begins, [batch, seq_len], of a plan of packed rows.
  void load_starts(std::span<const int32_t> starts);
  // What the k-th further token adds to the loss of every position, [batch, seq_len]. Waits.
  void read_further_losses(int64_t k, std::span<float> losses);
  // </train_gpt>
  // Of the positions [first_row, first_row + n) of those that have them: log probabilities of the
  // next token, [n, vocab], and their entropies, [n], where asked for; in nats. Waits for the device.
  void read_log_probs(int64_t first_row, std::span<float> log_probs,
                      std::span<float> entropies = {});

  // The first tensor in step order that holds a NaN or an infinity after the last run; empty when
  // all are finite.
  std::string find_non_finite();
  double flops() const;  // of one run
  // How often the activations of a block, [B*T, D] in the compute type, pass through memory in a run,
  // beside products and attention: bytes of the blocks' other ops, a block.
  double passes_of_a_block() const;
  int64_t arena_bytes() const;
  Plan& plan() { return *plan_; }
  const Plan& plan() const { return *plan_; }

 private:
  // <train_gpt>
  void load_future(std::span<const int32_t> targets);
  std::vector<int32_t> further_;  // room for it
  // </train_gpt>
  ModelConfig config_;
  int64_t batch_, seq_len_;
  std::unique_ptr<Plan> plan_;
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

}  // namespace pg
