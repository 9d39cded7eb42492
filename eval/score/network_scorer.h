// A model's distributions by sliding windows: the scorer behind every score. A mixer may reshape
// them and a learner may train the weights on what is scored; with neither it is the plain score.
#pragma once
#include <cstdint>
#include <functional>
// <parts>
#include <map>
// </parts>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "eval/score/eval_config.h"
#include "eval/score/learner.h"
#include "eval/score/scorer.h"
#include "eval/score/window_lane.h"
#include "eval/score/window_schedule.h"
#include "eval/score/window_share.h"
#include "quant/format/unpack.h"
#include "src/device/device.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

class NetworkScorer final : public Scorer {
 public:
  // Device and share must outlive this; mixer, learner and share (this is the only rank) may be
  // null. The distributions do not depend on the number of ranks. Throws Error when the
  // configuration does not fit the model.
  NetworkScorer(const UnpackedModel& model, const EvalConfig& config, Device& device,
                std::unique_ptr<TokenMixer> mixer = nullptr,
                std::unique_ptr<Learner> learner = nullptr, WindowShare* share = nullptr);
  // <train_gpt>
  // Of weights that never were an artifact; score.h makes no Score of it.
  static NetworkScorer for_diagnosis(const ModelConfig& model,
                                     const std::vector<HostTensor>& tensors,
                                     const EvalConfig& config, Device& device,
                                     WindowShare* share = nullptr);
  // </train_gpt>

  // Without a learner a chunk is what one batch of windows a rank scores, with one what it asks for.
  std::vector<Chunk> plan_order(int64_t tokens) const override;
  // <parts>
  int64_t document_chunk_targets() const override {
    return learner_ && learner_->follows_documents() ? learner_->chunk_targets() : 0;
  }
  // </parts>
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override;
  void predict(int64_t target, TokenDistribution& distribution) override;
  void perceive(int64_t target, int32_t token) override;
  void close_chunk(const ScoredChunk& scored) override;
  // <train_gpt>
  DocumentRows document_rows() const override {
    if (!learner_ || learner_->documents_at_once() == 1) return {};
    return {.ranks = ranks_,
            .of_a_rank = learner_->documents_at_once(),
            .queues = learner_->document_queues()};
  }
  void begin_documents(std::span<const int64_t> numbers) override {
    learner_->begin_documents(rows_of_rank(numbers));
  }
  void open_documents(std::span<const OpenDocument> documents) override;
  void predict_beside(int64_t row, int64_t target, TokenDistribution& distribution) override;
  void close_documents(std::span<const ScoredChunk> scored) override;
  int64_t documents_until(int64_t done) const override { return learner_->documents_until(done); }
  void close_text(const ScoredChunk& scored) override { learner_->learn_text(scored, weights_); }
  uint64_t state_hash() const override;
  // </train_gpt>

  // See Learner::watch; nothing without a learner.
  void watch_learning(std::function<void()> on_step) {
    if (learner_) learner_->watch(std::move(on_step));
  }

  // What it computes with, for comparing with the artifact.
  std::vector<HostTensor> download_weights() const { return weights_.download(); }
  int64_t windows_run() const { return tail_.windows_run() + whole_windows_run(); }

 private:
  // A window of the open chunk: which lane runs it, and its number there.
  struct Placed {
    EvalWindow window;
    WindowLane* lane = nullptr;
    int64_t number = 0;
    // <train_gpt>
    int64_t row = 0;  // of a document beside others
    // </train_gpt>
  };

  NetworkScorer(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                const EvalConfig& config, Device& device, std::unique_ptr<TokenMixer> mixer,
                std::unique_ptr<Learner> learner, WindowShare* share);
  int64_t whole_windows_run() const {
    int64_t windows = whole_ ? whole_->windows_run() : 0;
    // <parts>
    for (const auto& [context, lane] : growing_) windows += lane.windows_run();
    // </parts>
    return windows;
  }
  // <parts>
  WindowLane& growing_lane(const EvalWindow& window);
  // </parts>
  // <train_gpt>
  int64_t first_row_of_rank() const { return share_ == nullptr ? 0 : share_->rank() * rows_; }
  std::span<const int64_t> rows_of_rank(std::span<const int64_t> of_rows) const {
    return of_rows.subspan(static_cast<size_t>(first_row_of_rank()), static_cast<size_t>(rows_));
  }
  // </train_gpt>
  std::vector<Chunk> plan_stream_order(int64_t tokens) const;
  std::vector<Chunk> plan_document_order(int64_t tokens) const;

  WindowShape shape_;
  bool by_document_;
  int64_t ranks_;
  bool is_first_;  // rank 0
  int64_t rows_;   // windows of a batch
  std::unique_ptr<TokenMixer> mixer_;
  std::unique_ptr<Learner> learner_;
  Weights weights_;
  WindowLane tail_;                  // windows that score their last `stride` positions at most
  std::optional<WindowLane> whole_;  // the first of a text; absent when those slide over nothing
  // <parts>
  // With chunks that follow documents: the windows of a document's first tokens, by their length.
  std::map<int64_t, WindowLane> growing_;
  int64_t growing_rows_ = 1;  // of their batches
  ModelConfig model_;         // for those
  WindowShare* share_ = nullptr;
  double temperature_ = 1.0;
  // </parts>

  std::span<const int32_t> known_;
  std::vector<Placed> windows_;  // of the open chunk, as far as its tokens are known
  // <train_gpt>
  std::vector<int64_t> open_rows_;  // with documents that are open beside each other
  // </train_gpt>
};

}  // namespace pg
