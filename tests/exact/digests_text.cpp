#include <array>
#include <memory>

#include "eval/code/encode/arithmetic_encoder.h"
#include "eval/learn/make_learner.h"
#include "eval/mix/make_mixer.h"
#include "eval/score/ledger.h"
#include "src/base/exact_math.h"
#include "src/base/rng.h"
#include "src/base/simd_math.h"
#include "src/data/tokenizer.h"
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
    const auto vocab = static_cast<size_t>(config_.vocab_size);
    distribution.network = {
        .logits = std::span(log_probs_).subspan(static_cast<size_t>(row) * vocab, vocab),
        .log_normaliser = 0.0f,
        .entropy_nats = entropies_[static_cast<size_t>(row)]};
    distribution.mixed = {};
  }
  void perceive(int64_t /*target*/, int32_t /*token*/) override {}
  void close_chunk(const ScoredChunk& scored) override {
    if (learner_) learner_->learn(scored, weights_);
  }
  uint64_t state_hash() const override { return learner_ ? learner_->state_hash() : 0; }

 private:
  void run(int64_t window) {
    std::vector<int32_t> ids(static_cast<size_t>(kContext));
    for (size_t i = 0; i < ids.size(); ++i) {
      const size_t at = static_cast<size_t>(window * kContext) + i;
      if (at < known_.size()) ids[i] = known_[at];
    }
    plan_.load(ids, {});
    plan_.run();
    plan_.read_log_probs(0, log_probs_, entropies_);
    ready_ = window;
  }

  ModelConfig config_;
  std::unique_ptr<Device> device_;
  int64_t chunk_;
  std::unique_ptr<Learner> learner_;
  Weights weights_;
  ModelPlan plan_;
  std::vector<float> log_probs_, entropies_;
  std::span<const int32_t> known_;
  int64_t ready_ = -1;
};

ByteTable one_byte_a_token() {
  ByteTable bytes;
  const auto vocab = static_cast<size_t>(exact_model_config().vocab_size);
  bytes.bytes.resize(vocab, 1);
  bytes.leading_space.resize(vocab);
  bytes.boundary.resize(vocab);
  return bytes;
}

std::vector<double> list_bits(Scorer& scorer, const std::vector<int32_t>& text) {
  std::vector<double> bits;
  LedgerHooks hooks;
  hooks.on_score = [&](int64_t, int32_t, double token_bits) { bits.push_back(token_bits); };
  const ByteTable bytes = one_byte_a_token();
  bits.push_back(Ledger(text, bytes).score(scorer, hooks).bits);
  return bits;
}

TttConfig make_ttt(TttKind kind) {
  TttConfig ttt;
  ttt.kind = kind;
  if (kind == TttKind::kPhasedLora) ttt.phases = 1;  // adapters learn from the other chunks
  ttt.chunk_tokens = 2 * kContext;
  ttt.batch_tokens = 2 * kContext;
  ttt.epochs = 2;
  ttt.lora_chunk_tokens = 32;
  ttt.lora_rank = 3;
  ttt.lora_weight_decay = 0.01;
  ttt.lora_targets = "q,k,v,out,up,down,head";
  return ttt;
}

// Of normal logits, with a normaliser and an entropy of their own.
struct RandomNetwork {
  std::vector<float> logits;
  NetworkDistribution distribution;

  RandomNetwork(int64_t vocab, uint64_t seed) {
    const CounterRng rng(seed, kStreamTest);
    double sum = 0, weighted = 0;
    for (int64_t v = 0; v < vocab; ++v) {
      logits.push_back(static_cast<float>(2 * rng.normal(static_cast<uint64_t>(v))));
      const double mass = exp_f64(static_cast<double>(logits.back()));
      sum += mass;
      weighted += static_cast<double>(logits.back()) * mass;
    }
    distribution = {.logits = logits,
                    .log_normaliser = static_cast<float>(log_f64(sum)),
                    .entropy_nats = static_cast<float>(log_f64(sum) - weighted / sum)};
  }
};

uint64_t digest_mixer(const MixConfig& config) {
  const int64_t vocab = exact_model_config().vocab_size;
  const std::vector<int32_t> text = exact_text(20000, 7);
  std::vector<RandomNetwork> networks;
  for (uint64_t seed = 0; seed < 16; ++seed) networks.emplace_back(vocab, seed);
  const auto mixer = make_mixer(config, vocab, std::ssize(text));
  std::vector<float> seen;
  MixedDistribution mixed;
  for (size_t i = 0; i < text.size(); ++i) {
    const NetworkDistribution& network = networks[i % networks.size()].distribution;
    mixer->predict(network, mixed);
    for (int c = 0; c < mixed.count; ++c) seen.push_back(mixed.log_probs[static_cast<size_t>(c)]);
    seen.push_back(mixed.log_rest);
    seen.push_back(mixed.log_prob(network, text[i]));
    mixer->learn(text[i]);
  }
  return digest_of(seen, mixer->state_hash());
}

}  // namespace

void digest_learners(Digests& digests) {
  const std::vector<int32_t> text = exact_text(8 * kContext, 4);
  WindowScorer plain(1);
  digests.push_back({"forward pass: bits", digest_of(list_bits(plain, text))});
  const auto digest_learner = [&](const TttConfig& ttt, const std::string& name) {
    EvalConfig eval;
    eval.context = kContext;
    WindowScorer scorer(2, make_learner(ttt, exact_model_config(), eval, std::ssize(text)));
    digests.push_back({"ttt " + name + ": bits", digest_of(list_bits(scorer, text))});
    digests.push_back({"ttt " + name + ": weights and state", scorer.state_hash()});
  };
  for (const TttKind kind :
       {TttKind::kSgd, TttKind::kPhased, TttKind::kLora, TttKind::kPhasedLora}) {
    digest_learner(make_ttt(kind), std::string(choice_name(kind)));
  }
  const auto vocab = static_cast<size_t>(exact_model_config().vocab_size);
  ByteTable bytes = {.bytes = std::vector<uint16_t>(vocab),
                     .leading_space = std::vector<uint8_t>(vocab),
                     .boundary = std::vector<uint8_t>(vocab)};
  for (size_t id = 0; id < vocab; ++id) bytes.bytes[id] = static_cast<uint16_t>(id % 5);
  TttConfig published = make_ttt(TttKind::kSgd);
  published.optimizer = TttOptimizer::kAdamw;
  published.polyak_decay = 0.9;
  published.byte_weighted = true;
  published.bytes = &bytes;
  published.adaptive_lr_max = 3;
  published.frozen_blocks = 1;
  published.frozen_scales = false;
  published.scales_fraction = 0.4;
  digest_learner(published, "sgd in the published forms");
}

void digest_mixers(Digests& digests) {
  for (const MixKind kind :
       {MixKind::kTilt, MixKind::kLinear, MixKind::kLogit, MixKind::kCascade, MixKind::kPpm}) {
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
