#include "eval/learn/sgd_learner.h"

#include <algorithm>
#include <array>
#include <bit>

#include "src/base/check.h"
#include "src/base/hash.h"
// <parts>
#include "src/data/tokenizer.h"
// </parts>

namespace pg {

SgdLearner::SgdLearner(const TttConfig& config, const ModelConfig& model, int64_t context,
                       int64_t stream_tokens)
    : config_(config),
      model_(model),
      context_(context),
      stream_tokens_(stream_tokens),
      chunks_((stream_tokens - 1 + config.chunk_tokens - 1) / config.chunk_tokens) {}

void SgdLearner::start(Weights& weights) {
  trainer_ = std::make_unique<SgdTrainer>(model_, config_, context_, weights);
}

void SgdLearner::learn(const ScoredChunk& scored, Weights& /*weights*/) {
  PG_CHECK(trainer_ != nullptr, "learn() before start()");
  const int64_t end = scored.chunk().end();
  if (end >= stream_tokens_) return;
  const int64_t due = count_phases_due(scored);
  if (config_.kind == TttKind::kPhased && due <= phases_done_) return;
  // <parts>
  trainer_->take_up();
  trainer_->train_scales_alone(static_cast<double>(end - 1) <=
                               config_.scales_fraction * static_cast<double>(stream_tokens_ - 1));
  // </parts>
  if (config_.kind == TttKind::kPhased) {
    learn_phase(scored, due);
  } else {
    learn_chunk(scored);
  }
  // <parts>
  trainer_->put_down();
  // </parts>
}

void SgdLearner::learn_chunk(const ScoredChunk& scored) {
  double lr = learning_rate(config_, chunks_done_, chunks_);
  // <parts>
  lr *= adaptive_multiplier(chunks_done_, chunks_, config_.adaptive_lr_max);
  // </parts>
  ++chunks_done_;
  for (int64_t epoch = 0; epoch < config_.epochs; ++epoch) {
    trainer_->train_pass(scored.tokens(), scored.chunk().first, scored.chunk().end(), lr);
    report_step();
  }
}

// <parts>
int64_t SgdLearner::documents_of_phase(int64_t phase) const {
  return config_.phase_documents * phase / config_.phases;
}
// </parts>

// <train_gpt>
int64_t SgdLearner::documents_until(int64_t done) const {
  for (int64_t phase = 1; phase <= config_.phases; ++phase) {
    if (documents_of_phase(phase) > done) return documents_of_phase(phase);
  }
  return Learner::documents_until(done);
}
// </train_gpt>

int64_t SgdLearner::count_phases_due(const ScoredChunk& scored) {
  // <parts>
  // At floor(N p / P) finished documents, p = 1 to P (PR #1626).
  if (config_.phase_documents > 0) {
    const auto chunk = scored.tokens().subspan(static_cast<size_t>(scored.chunk().first));
    documents_done_ += std::count(chunk.begin(), chunk.end(), kBosId);
    int64_t due = 0;
    while (due < config_.phases && documents_of_phase(due + 1) <= documents_done_) ++due;
    return due;
  }
  // </parts>
  // Which of the phases + 1 equal parts of the stream the end lies in.
  return (scored.chunk().end() - 1) * (config_.phases + 1) / (stream_tokens_ - 1);
}

void SgdLearner::learn_phase(const ScoredChunk& scored, int64_t phases_due) {
  const int64_t end = scored.chunk().end();
  phases_done_ = phases_due;
  const int64_t chunk = config_.chunk_tokens, chunks = (end - 1 + chunk - 1) / chunk;
  for (int64_t epoch = 0; epoch < config_.epochs; ++epoch) {
    for (int64_t c = 0; c < chunks; ++c) {
      const int64_t first = 1 + c * chunk;
      trainer_->train_pass(scored.tokens(), first, std::min(first + chunk, end),
                           learning_rate(config_, epoch * chunks + c, config_.epochs * chunks));
      report_step();
    }
  }
}

// <train_gpt>
uint64_t SgdLearner::state_hash() const {
  std::array<int64_t, 2> counters = {chunks_done_, phases_done_};
  counters[0] += documents_done_;  // one of the two is always 0
  return fnv1a(std::bit_cast<std::array<uint8_t, sizeof(counters)>>(counters),
               trainer_ ? trainer_->state_hash() : kFnvOffset);
}
// </train_gpt>

}  // namespace pg
