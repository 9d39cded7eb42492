// <parts>
#include "eval/learn/phased_lora_learner.h"

#include <array>
#include <bit>

#include "src/base/check.h"
#include "src/base/hash.h"

namespace pg {
namespace {

TttConfig as_phased(TttConfig config) {
  config.kind = TttKind::kPhased;
  return config;
}

}  // namespace

PhasedLoraLearner::PhasedLoraLearner(const TttConfig& config, const ModelConfig& model,
                                     const EvalConfig& eval, int64_t stream_tokens)
    : lora_(config, model, eval, stream_tokens),
      phases_(as_phased(config), model, eval.context, stream_tokens),
      model_(model) {}

void PhasedLoraLearner::start(Weights& weights) {
  for (Learner* learner : {static_cast<Learner*>(&lora_), static_cast<Learner*>(&phases_)}) {
    learner->watch([this] { report_step(); });
  }
  lora_.start(weights);
  base_ = std::make_unique<Weights>(weights.device(), phases_.choose_params(model_),
                                    /*with_gradients=*/true);
  copy_base(weights, *base_);
  phases_.start(*base_);
}

void PhasedLoraLearner::copy_base(const Weights& from, Weights& to) const {
  for (int i = 0; i < base_->count(); ++i) {
    to.device().copy(to.master(i), from.master(i),
                     static_cast<size_t>(to.spec(i).elements()) * sizeof(float));
  }
  to.refresh_compute();
}

void PhasedLoraLearner::learn(const ScoredChunk& scored, Weights& weights) {
  PG_CHECK(base_ != nullptr, "learn() before start()");
  if (learn_phases(scored, weights)) {
    lora_.start_anew(scored);
  } else {
    lora_.learn(scored, weights);
  }
}

bool PhasedLoraLearner::learn_phases(const ScoredChunk& scored, Weights& weights) {
  const int64_t done = phases_.phases_done();
  phases_.learn(scored, *base_);
  if (phases_.phases_done() == done) return false;
  copy_base(*base_, weights);
  return true;
}

// </parts>
// <train_gpt>
uint64_t PhasedLoraLearner::state_hash() const {
  const std::array<uint64_t, 2> parts = {lora_.state_hash(), phases_.state_hash()};
  return fnv1a(std::bit_cast<std::array<uint8_t, sizeof(parts)>>(parts));
}
// </train_gpt>
// <parts>

}  // namespace pg
// </parts>
