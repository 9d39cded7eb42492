// A model small enough for the double loops of the reference device, streams of chosen ids, and
// artifacts of them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "eval/score/eval_config.h"
#include "eval/score/scorer.h"
#include "quant/format/unpack.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/device/device.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

inline constexpr int64_t kTestVocab = 32;

// Every block of the full model is on. RoPE's base grows with the context when ntk_length is not 0.
ModelConfig make_test_config(int64_t ntk_length = 0);
// Random weights, large enough that every loss depends on all of its context.
std::vector<HostTensor> make_random_weights(const ModelConfig& config, uint64_t seed);
std::vector<HostTensor> make_zero_weights(const ModelConfig& config);
// Through quantise, seal and unpack, as there is no other way.
UnpackedModel make_artifact_model(const ModelConfig& config, const std::vector<HostTensor>& weights,
                                  const Sha256& tokenizer_sha256 = {},
                                  const std::string& scoring_keys = {});

std::vector<uint16_t> make_random_ids(int64_t count, uint64_t seed);
TokenStream make_stream(std::span<const uint16_t> ids);
// Ids 0 to 3 are control ids of 0 bytes, the rest 1 to 4 bytes, every third with a leading space.
ByteTable make_test_bytes();

// -log p of every target of the stream, nats, as the ledger gets them.
enum class LedgerTier : uint8_t { kMetered, kDecoded };
std::vector<float> list_losses(Scorer& scorer, std::span<const uint16_t> ids, LedgerTier tier);
// Of every target the log probability of every token, behind it the network's and its entropy.
std::vector<std::vector<float>> list_distributions(Scorer& scorer, std::span<const uint16_t> ids,
                                                   LedgerTier tier);
std::vector<float> list_losses(const ModelConfig& config, const std::vector<HostTensor>& weights,
                               std::span<const uint16_t> ids, const EvalConfig& eval,
                               Device& device);

}  // namespace pg
