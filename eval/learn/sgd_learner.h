// Full-weight test-time training, score first. Chunked (sgd): after each chunk, passes over that
// chunk, at a learning rate that falls along a cosine over the stream's chunks. Phased: at a few
// places of the stream, passes over all that has been scored so far, a cosine over its chunks each
// time. The stream's last chunk is never trained on: nothing would be scored with what it teaches.
#pragma once
#include <memory>

#include "eval/learn/sgd_trainer.h"
#include "eval/learn/ttt_config.h"
#include "eval/score/learner.h"
#include "src/model/model_config.h"

namespace pg {

class SgdLearner final : public Learner {
 public:
  // stream_tokens: of the stream that will be scored.
  SgdLearner(const TttConfig& config, const ModelConfig& model, int64_t context,
             int64_t stream_tokens);

  int64_t chunk_targets() const override { return config_.chunk_tokens; }
  std::vector<ParamSpec> choose_params(const ModelConfig& model) const override {
    return choose_sgd_params(model, config_);
  }
  void start(Weights& weights) override;
  void learn(const ScoredChunk& scored, Weights& weights) override;
  // <train_gpt>
  uint64_t state_hash() const override;
  // </train_gpt>
  // <parts>
  // Of kind phased.
  int64_t phases_done() const { return phases_done_; }
  // </parts>
  // <train_gpt>
  int64_t documents_until(int64_t done) const override;
  // </train_gpt>

 private:
  void learn_chunk(const ScoredChunk& scored);
  void learn_phase(const ScoredChunk& scored, int64_t phases_due);
  // Of all phases, how many lie before the end of a chunk; kind sgd has none.
  int64_t count_phases_due(const ScoredChunk& scored);

  TttConfig config_;
  ModelConfig model_;
  int64_t context_, stream_tokens_, chunks_;
  int64_t chunks_done_ = 0, phases_done_ = 0;
  // <parts>
  int64_t documents_of_phase(int64_t phase) const;  // finished when it is due; of 1, 2, ...
  int64_t documents_done_ = 0;  // whose last target, the BOS of the next, is scored
  // </parts>
  std::unique_ptr<SgdTrainer> trainer_;
};

}  // namespace pg
