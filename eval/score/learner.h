// Test-time training as a network scorer sees it: whatever learns may change the weights between
// two chunks, from tokens that are scored already (law L4: only the ledger makes a ScoredChunk).
#pragma once
#include <cstdint>
#include <functional>
// <train_gpt>
#include <limits>
#include <span>
// </train_gpt>
#include <utility>
#include <vector>

#include "eval/score/scorer.h"
#include "src/model/model.h"
#include "src/plan/weights.h"

namespace pg {

class Learner {
 public:
  virtual ~Learner() = default;

  // Targets of a chunk, which is scored with unchanged weights and then learnt from. Fixed, so that
  // the score does not depend on how many windows share a forward pass. Chunks are whole windows: a
  // window belongs to the chunk in which its first scored target falls.
  virtual int64_t chunk_targets() const = 0;
  // <parts>
  // Whether chunks follow the documents: Scorer::document_chunk_targets().
  virtual bool follows_documents() const { return false; }
  // </parts>
  // <train_gpt>
  // See Scorer::document_rows() and what follows it; rows of a batch here, of one rank.
  virtual int64_t documents_at_once() const { return 1; }
  virtual int64_t document_queues() const { return 0; }
  virtual void begin_documents(std::span<const int64_t> /*numbers*/) {}
  virtual void learn_beside(std::span<const ScoredChunk> /*scored*/) {}
  virtual int64_t documents_until(int64_t /*done*/) const {
    return std::numeric_limits<int64_t>::max();
  }
  virtual void learn_text(const ScoredChunk& /*scored*/, Weights& /*weights*/) {}
  // </train_gpt>
  // The parameters that the scorer shall give its weights: the model's own, frozen where they never
  // change, and adapters behind them.
  virtual std::vector<ParamSpec> choose_params(const ModelConfig& model) const {
    return list_params(model);
  }
  // Once, before the first chunk: the weights hold the artifact's values, adapters zeros. What
  // learning needs is planned and allocated here.
  virtual void start(Weights& /*weights*/) {}
  // Called once after every chunk, the last included. May change the masters of `weights`, which
  // have gradients and are the same object each time, and then refreshes the compute copies.
  virtual void learn(const ScoredChunk& scored, Weights& weights) = 0;
  // <train_gpt>
  // Of everything mutable that a later score depends on: the weights it has changed, its
  // optimizer's state, its counters.
  virtual uint64_t state_hash() const = 0;
  // </train_gpt>

  // `on_step` is called after each step within learn(), which may take minutes; an exception out of
  // it ends the learning.
  void watch(std::function<void()> on_step) { on_step_ = std::move(on_step); }

 protected:
  void report_step() const {
    if (on_step_) on_step_();
  }

 private:
  std::function<void()> on_step_;
};

}  // namespace pg
