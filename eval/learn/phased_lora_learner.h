// Adapters with phases (PRs #1610 and #1626 of the challenge, in stream order): adapters learn from
// each chunk as lora_learner.h has it, and at a few places of the stream the model's own weights
// are trained on all that is scored so far, as sgd_learner.h has it. A phase trains the weights
// without adapters, in memory of their own; behind it these replace the scorer's, and the adapters,
// which were those of the weights before, start anew (formulas.md 6.2).
#pragma once
// <parts>
#include <memory>

#include "eval/learn/lora_learner.h"
#include "eval/learn/sgd_learner.h"

namespace pg {

class PhasedLoraLearner final : public Learner {
 public:
  // Throws Error for what LoraLearner refuses.
  PhasedLoraLearner(const TttConfig& config, const ModelConfig& model, const EvalConfig& eval,
                    int64_t stream_tokens);

  int64_t chunk_targets() const override { return lora_.chunk_targets(); }
  bool follows_documents() const override { return lora_.follows_documents(); }
  std::vector<ParamSpec> choose_params(const ModelConfig& model) const override {
    return lora_.choose_params(model);
  }
  void start(Weights& weights) override;
  void learn(const ScoredChunk& scored, Weights& weights) override;
  // </parts>
  // <train_gpt>
  uint64_t state_hash() const override;
  // </train_gpt>
  // <train_gpt>
  int64_t documents_at_once() const override { return lora_.documents_at_once(); }
  int64_t document_queues() const override { return lora_.document_queues(); }
  void begin_documents(std::span<const int64_t> numbers) override {
    lora_.begin_documents(numbers);
  }
  void learn_beside(std::span<const ScoredChunk> scored) override { lora_.learn_beside(scored); }
  int64_t documents_until(int64_t done) const override { return phases_.documents_until(done); }
  void learn_text(const ScoredChunk& scored, Weights& weights) override {
    if (learn_phases(scored, weights)) lora_.start_anew(scored);
  }
  // </train_gpt>
  // <parts>

 private:
  // Whether a phase was due and the weights are those behind it.
  bool learn_phases(const ScoredChunk& scored, Weights& weights);
  // The model's own parameters, which stand first in both.
  void copy_base(const Weights& from, Weights& to) const;

  LoraLearner lora_;
  SgdLearner phases_;
  ModelConfig model_;
  std::unique_ptr<Weights> base_;  // what the phases train
};

}  // namespace pg
// </parts>
