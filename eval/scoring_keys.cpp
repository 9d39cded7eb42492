#include "eval/scoring_keys.h"

#include <array>

#include "eval/score/window_schedule.h"
#include "src/base/error.h"

namespace pg {
namespace {

// clang-format off
constexpr auto kFrozenScoring = std::to_array<FrozenValue>({
    {"eval.context", "2048"},
    {"eval.stride", "64"},
    {"eval.windows", "\"stream\""},
    {"ttt.kind", "\"none\""},
    {"ttt.clip_norm", "1.0"},
    {"ttt.chunk_tokens", "4096"},
    {"ttt.epochs", "1"},
    {"ttt.lr", "0.01"},
    {"ttt.momentum", "0.9"},
    {"ttt.batch_tokens", "2048"},
    {"ttt.frozen_blocks", "0"},
    {"ttt.phases", "3"},
    {"ttt.lora_rank", "8"},
    {"ttt.lora_alpha", "16.0"},
    {"ttt.lora_targets", "\"q,v,out,up,down,head\""},
    {"ttt.lora_chunk_tokens", "64"},
    {"ttt.lora_lr", "0.002"},
    {"ttt.lora_beta2", "0.99"},
    {"ttt.lora_weight_decay", "0.0"},
    {"ttt.lora_reset", "\"warm\""},
    {"mix.kind", "\"none\""},
    {"mix.min_order", "3"},
    {"mix.max_order", "10"},
    {"mix.match_length", "8"},
    {"mix.learn_rate", "0.002"},
    {"mix.linear_base", "0.2"},
    {"mix.linear_range", "0.55"},
    {"mix.linear_slope", "2.0"},
    {"mix.linear_centre_nats", "3.0"},
    {"mix.tilt_order", "16"},
    {"mix.tilt_beta", "2.625"},
    {"mix.tilt_threshold", "0.8"},
    {"mix.tilt_min_count", "1"},
    // <parts>
    {"eval.temperature", "1.0"},
    {"ttt.optimizer", "\"sgd\""},
    {"ttt.polyak_decay", "0.0"},
    {"ttt.lora_epochs", "1"},
    {"ttt.byte_weighted", "false"},
    {"ttt.adaptive_lr_max", "1.0"},
    {"ttt.frozen_scales", "true"},
    {"ttt.scales_fraction", "0.0"},
    {"ttt.cosine", "true"},
    {"mix.cascade_buckets", "4194304"},
    {"mix.cascade_min_count", "2"},
    {"mix.ppm_weight", "0.1"},
    {"eval.case_ops", "false"},
    {"ttt.by_document", "false"},
    {"ttt.phase_documents", "0"},
    {"ttt.lora_per_run", "false"},
    {"ttt.lora_clipped", "true"},
    {"ttt.lora_queues", "1"},
    // </parts>
    {"ttt.gradient_leaves", "1"},
});
// clang-format on

}  // namespace

std::span<const FrozenValue> frozen_scoring_keys() { return kFrozenScoring; }

std::string write_scoring_keys(const ScoringConfig& config) {
  KeyWriter writer(kFrozenScoring);
  visit_scoring_fields(config, writer);
  return writer.text();
}

ScoringConfig read_scoring_keys(const std::string& keys, const EvalConfig& budget) {
  ScoringConfig config(budget);
  KeyReader reader(keys, kFrozenScoring);
  visit_scoring_fields(config, reader);
  std::string problem = reader.finish();
  if (problem.empty() && write_scoring_keys(config) != keys) {
    problem = "its keys are not written as this format writes them";
  }
  if (!problem.empty()) {
    throw Error("the artifact does not say how it is scored: " + problem +
                "; pack the weights again with train_gpt pack, or score it with the program that "
                "wrote it");
  }
  check_window_shape({config.eval.context, config.eval.stride});
  return config;
}

}  // namespace pg
