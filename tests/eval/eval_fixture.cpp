// Shards are mapped by TokenStream, so the file may go as soon as the stream is open.
#include "tests/eval/eval_fixture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "eval/score/ledger.h"
#include "eval/score/network_scorer.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/base/rng.h"
#include "src/data/corpus/write_shard.h"
#include "src/model/model.h"

namespace pg {

ModelConfig make_test_config(int64_t ntk_length) {
  ModelConfig config;
  config.vocab_size = kTestVocab;
  config.layers = 2;
  config.dim = 32;
  config.heads = 2;
  config.kv_heads = 1;
  config.mlp_hidden = 64;
  config.rope_dims = 8;
  config.rope_ntk_length = ntk_length;
  config.rope_context = 2 * ntk_length;
  config.xsa_last_n = 1;
  config.bigram_buckets = 16;
  config.bigram_dim = 8;
  config.value_embed_dim = 16;
  config.value_embed_layers = 1;
  return config;
}

std::vector<HostTensor> make_zero_weights(const ModelConfig& config) {
  std::vector<HostTensor> tensors;
  for (const ParamSpec& spec : list_params(config)) {
    tensors.push_back(
        {.spec = spec, .values = std::vector<float>(static_cast<size_t>(spec.elements()))});
  }
  return tensors;
}

std::vector<HostTensor> make_random_weights(const ModelConfig& config, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<HostTensor> tensors = make_zero_weights(config);
  uint64_t index = 0;
  for (HostTensor& tensor : tensors) {
    for (float& value : tensor.values) value = static_cast<float>(0.4 * rng.normal(index++));
  }
  return tensors;
}

UnpackedModel make_artifact_model(const ModelConfig& config, const std::vector<HostTensor>& weights,
                                  const Sha256& tokenizer_sha256, const std::string& scoring_keys) {
  QuantConfig quant;
  quant.scales = ScaleRule::kRowMax;
  quant.rounding = Rounding::kNearest;
  quant.fill_cap = false;
  const QuantInput input{.config = &config,
                         .weights = &weights,
                         .tokenizer_sha256 = tokenizer_sha256,
                         .scoring_keys = scoring_keys,
                         .calibration = nullptr};
  const SealedArtifact artifact =
      seal(quantize(input, quant, /*code_bytes=*/0).model, quant, /*code_bytes=*/0);
  return unpack(artifact.bytes).value();
}

std::vector<uint16_t> make_random_ids(int64_t count, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<uint16_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<uint16_t>(rng.below(static_cast<uint64_t>(i), kTestVocab)));
  }
  return ids;
}

TokenStream make_stream(std::span<const uint16_t> ids) {
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) / fmt::format("eval_test_{}.bin", ::getpid());
  write_shard(file, ids);
  TokenStream stream = TokenStream::open(file.string(), kTestVocab);
  std::filesystem::remove(file);
  return stream;
}

ByteTable make_test_bytes() {
  ByteTable table;
  for (int64_t id = 0; id < kTestVocab; ++id) {
    const bool control = id < 4;
    table.bytes.push_back(static_cast<uint16_t>(control ? 0 : 1 + id % 4));
    table.leading_space.push_back(!control && id % 3 == 0 ? 1 : 0);
    table.boundary.push_back(control ? 1 : 0);
  }
  return table;
}

namespace {

void score(Scorer& scorer, const std::vector<int32_t>& stream, LedgerTier tier,
           const LedgerHooks& hooks) {
  const ByteTable bytes = make_test_bytes();
  const Ledger ledger(stream, bytes);
  if (tier == LedgerTier::kMetered) {
    ledger.score(scorer, hooks);
  } else {
    ledger.score_as_decoder(scorer, hooks);
  }
}

}  // namespace

std::vector<float> list_losses(Scorer& scorer, std::span<const uint16_t> ids, LedgerTier tier) {
  const std::vector<int32_t> stream(ids.begin(), ids.end());
  std::vector<float> losses;
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t target, const TokenDistribution& distribution) {
    EXPECT_EQ(target, static_cast<int64_t>(losses.size()) + 1);
    losses.push_back(-distribution.log_prob(stream[static_cast<size_t>(target)]));
  };
  score(scorer, stream, tier, hooks);
  return losses;
}

std::vector<std::vector<float>> list_distributions(Scorer& scorer, std::span<const uint16_t> ids,
                                                   LedgerTier tier) {
  std::vector<std::vector<float>> distributions;
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t /*target*/, const TokenDistribution& distribution) {
    std::vector<float>& values = distributions.emplace_back();
    for (int32_t id = 0; id < distribution.vocab_size(); ++id) {
      values.push_back(distribution.log_prob(id));
    }
    const std::span<const float> logits = distribution.network.logits;
    values.insert(values.end(), logits.begin(), logits.end());
    values.push_back(distribution.network.entropy_nats);
  };
  score(scorer, {ids.begin(), ids.end()}, tier, hooks);
  return distributions;
}

std::vector<float> list_losses(const ModelConfig& config, const std::vector<HostTensor>& weights,
                               std::span<const uint16_t> ids, const EvalConfig& eval,
                               Device& device) {
  NetworkScorer scorer = NetworkScorer::for_diagnosis(config, weights, eval, device);
  return list_losses(scorer, ids, LedgerTier::kMetered);
}

}  // namespace pg
