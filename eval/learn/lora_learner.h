// Low-rank adapters trained along the stream, score first (PR #1530 of the challenge, in stream
// order). After a chunk is scored, one AdamW step for each piece of it, lora_chunk_tokens long: the
// window is the one that scored it, context included, and the loss counts the piece's targets
// alone.
//
// Documents: a chunk whose targets hold a BOS begins a new document. Then, before learning, the
// adapters are reset as lora_reset says, and only the targets behind the chunk's last BOS are
// learnt from. Targets behind a BOS in the same chunk were scored with the adapters of the document
// before, which knew nothing but the text before them.
#pragma once
#include <array>
// <parts>
#include <map>
// </parts>
#include <memory>
#include <vector>

#include "eval/learn/training_rows.h"
#include "eval/learn/ttt_config.h"
#include "eval/score/eval_config.h"
#include "eval/score/learner.h"
#include "src/model/model_config.h"

namespace pg {

class LoraLearner final : public Learner {
 public:
  // Throws Error when the targets are unknown or a chunk is longer than the context.
  LoraLearner(const TttConfig& config, const ModelConfig& model, const EvalConfig& eval,
              int64_t stream_tokens);

  int64_t chunk_targets() const override { return config_.lora_chunk_tokens; }
  // <parts>
  bool follows_documents() const override { return config_.by_document; }
  // </parts>
  std::vector<ParamSpec> choose_params(const ModelConfig& model) const override;
  void start(Weights& weights) override;
  void learn(const ScoredChunk& scored, Weights& weights) override;
  // <train_gpt>
  uint64_t state_hash() const override;
  // </train_gpt>
  // <parts>
  // The adapters as start() left them, in all queues, whatever lora_reset says; in the place of
  // learning from `scored`.
  void start_anew(const ScoredChunk& scored);
  // </parts>
  // <train_gpt>
  int64_t documents_at_once() const override { return config_.documents_at_once; }
  int64_t document_queues() const override {
    return config_.lora_reset == LoraReset::kWarm ? config_.lora_queues : 0;
  }
  void begin_documents(std::span<const int64_t> numbers) override;
  void learn_beside(std::span<const ScoredChunk> scored) override;
  // </train_gpt>

 private:
  // The next window to train on, whose first target is `first`.
  TrainingWindow next_window(std::span<const int32_t> tokens, int64_t first, int64_t end) const;
  void reset(bool keeps_a);
  void train(std::span<const int32_t> tokens, const TrainingWindow& window);
  void apply_step(const TrainingRows& rows);
  // <train_gpt>
  void give_step(const TrainingRows& rows);
  void copy_to_slots(Weights& weights) const;
  // </train_gpt>
  // <parts>
  TrainingRows& rows_for(const TrainingWindow& window);
  // Of a document of the text: A of a slot to its queue, and from there as its predecessor left it.
  void leave_to_queue(int64_t document, int64_t slot);
  void take_from_queue(int64_t document, int64_t slot);
  const ParamRange& range_of_a(int64_t slot) const;
  // </parts>

  TttConfig config_;
  ModelConfig model_;
  std::vector<ParamSpec> adapters_;
  int64_t context_, stream_tokens_;
  bool by_document_;  // no window reaches back over a BOS
  Weights* weights_ = nullptr;
  std::unique_ptr<TrainingRows> rows_;
  // <parts>
  std::map<int64_t, TrainingRows> short_rows_;  // by document: of windows below the context
  std::map<int64_t, DeviceBuffer> queues_;      // [elements of A] f32: of those with a document
  int64_t document_ = 0;                        // of the text, in its order: which is being scored
  // </parts>
  DeviceBuffer first_, second_;               // [gradient_elements] f32: AdamW's moments
  std::array<AdamWStep, 2> steps_of_factor_;  // of A and of B
  DeviceBuffer scalars_;                      // those on the device
  DeviceBuffer start_, zeros_;                // [gradient_elements] f32: the adapters' first values
  int64_t steps_ = 0;                         // since the last reset
  // <train_gpt>
  std::vector<int64_t> numbers_;  // in the text, of the documents that are side by side
  // The steps behind the gradients of a plan's rows.
  std::map<const TrainingRows*, std::unique_ptr<KeptWork>> kept_;
  // </train_gpt>
};

}  // namespace pg
