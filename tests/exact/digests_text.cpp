#include <array>
#include <memory>

#include "eval/code/encode/arithmetic_encoder.h"
#include "eval/learn/make_learner.h"
#include "eval/mix/make_mixer.h"
#include "eval/score/ledger.h"
#include "src/base/exact_math.h"
#include "src/base/rng.h"
#include "src/base/simd_math.h"
#include "src/device/cpu/cpu_device.h"
#include "src/model/model.h"
#include "tests/exact/exact_digests.h"

namespace pg {
namespace {

constexpr int64_t kContext = 64;

// Moves every weight away from its start, so that each decides something.
void spread_weights(Weights& weights) {
  std::vector<HostTensor> tensors = weights.download();
  tensors.resize(list_params(exact_model_config()).size());
  const CounterRng rng(5, kStreamTest);
  uint64_t at = 0;
  for (HostTensor& tensor : tensors) {
    for (float& value : tensor.values) value += static_cast<float>(0.2 * rng.normal(at++));
  }
  weights.upload(tensors);
}

// Distributions of a model of random weights, by windows that do not overlap.
class WindowScorer : public Scorer {
 public:
  explicit WindowScorer(int64_t chunk_windows, std::unique_ptr<Learner> learner = nullptr)
      : config_(exact_model_config()),
        device_(make_cpu_device(DType::kF32)),
        chunk_(chunk_windows * kContext),
        learner_(std::move(learner)),
        weights_(*device_, learner_ ? learner_->choose_params(config_) : list_params(config_),
                 learner_ != nullptr),
        plan_(config_, weights_, 1, kContext, PlanMode::kLogProbs),
        log_probs_(static_cast<size_t>(kContext * config_.vocab_size)),
        entropies_(static_cast<size_t>(kContext)) {
    weights_.initialise(2);
    spread_weights(weights_);
    if (learner_) learner_->start(weights_);
  }

  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks;
    for (int64_t first = 1; first < tokens; first += chunk_) {
      chunks.push_back({.first = first, .count = std::min(chunk_, tokens - first)});
    }
    return chunks;
  }
  void open_chunk(const Chunk& /*chunk*/, std::span<const int32_t> known) override {
    known_ = known;
    ready_ = -1;
  }
  void predict(int64_t target, TokenDistribution& distribution) override {
    const int64_t window = (target - 1) / kContext, row = (target - 1) % kContext;
    if (window != ready_) run(window);
  }

void digest_mixers(Digests& digests) {
  for (const MixKind kind :
       {MixKind::kTilt, MixKind::kLinear, MixKind::kLogit, MixKind::kCascade}) {
    MixConfig config;
    config.cascade_buckets = 1 << 16;
    config.kind = kind;
    config.tilt_order = 3;
    config.tilt_threshold = 0.5;
    digests.push_back({"mix " + std::string(choice_name(kind)), digest_mixer(config)});
  }
  MixConfig wild;  // a gate that has gone astray
  wild.kind = MixKind::kLogit;
  wild.learn_rate = 1;
  digests.push_back({"mix logit at a rate of 1", digest_mixer(wild)});
}

// About 4 KB, with the network and the logit mixer.
void digest_coding(Digests& digests) {
  const std::vector<int32_t> text = exact_text(11264, 6);
  MixConfig config;
  config.kind = MixKind::kLogit;
  const auto mixer = make_mixer(config, exact_model_config().vocab_size, std::ssize(text));
  WindowScorer scorer(1);
  FrequencyTable table;
  ArithmeticEncoder encoder;
  uint64_t tables = kFnvOffset;
  TokenDistribution distribution;
  for (const Chunk& chunk : scorer.plan_order(std::ssize(text))) {
    scorer.open_chunk(chunk, std::span(text).first(static_cast<size_t>(chunk.end() - 1)));
    for (int64_t target = chunk.first; target < chunk.end(); ++target) {
      const int32_t token = text[static_cast<size_t>(target)];
      scorer.predict(target, distribution);
      mixer->predict(distribution.network, distribution.mixed);
      table.assign(distribution);
      tables = mix64(tables ^ table.hash());
      encoder.encode(table.share(token));
      mixer->learn(token);
    }
  }
  const Bytes bytes = encoder.finish();
  digests.push_back({"coder's tables", tables});
  digests.push_back({"coded text, " + std::to_string(bytes.size()) + " bytes", digest_of(bytes)});
}

}  // namespace pg
