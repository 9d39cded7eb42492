#include "harness/recipe/scale_recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <string_view>
#include <type_traits>
#include <vector>

#include "harness/recipe/config_fields.h"
#include "src/base/error.h"
#include "src/model/model.h"
#include "src/train/length_growth.h"

namespace pg {
namespace {

constexpr const char* kCpuTrack = "cpu_10min_1mb";

enum class Round : uint8_t { kNearest, kUp, kPowerOfTwo };

// A number becomes `factor` of itself, at least `least`. What is 0 is off and stays so.
struct Factor {
  std::string_view key;
  double factor;
  double least = 1;
  Round round = Round::kNearest;
  const char* why = "";
};

// clang-format off
constexpr double kBytes = 1.0 / 16, kWidth = 3.0 / 8, kDepth = 5.0 / 11, kContext = 1.0 / 8, kSteps = 1.0 / 2;
constexpr auto kFactors = std::to_array<Factor>({
    {"quant.cap_bytes", kBytes, 1, Round::kNearest, "the track's"},
    {"model.heads", kWidth, 1, Round::kNearest, "heads keep their size, so the width is theirs"},
    {"model.layers", kDepth, 1, Round::kNearest, "parameters are about a sixteenth"},
    {"model.xsa_last_n", kDepth, 1, Round::kUp, "the same part of the depth"},
    {"model.value_embed_layers", kDepth, 1, Round::kUp, "the same part of the depth"},
    {"model.value_embed_dim", kWidth, 8, Round::kNearest, "as the width"},
    {"model.loop_first", kDepth, 0, Round::kNearest, "the same part of the depth"},
    {"model.loop_last", kDepth, 0, Round::kNearest, "the same part of the depth"},
    {"model.parallel_from", kDepth, 0, Round::kNearest, "the same part of the depth"},
    {"model.bigram_dim", kWidth, 8, Round::kNearest, "as the width"},
    {"model.bigram_buckets", 2.0 / 3, 2, Round::kNearest, "a table is a larger part of a small model"},
    {"model.rope_ntk_length", kContext, 1, Round::kNearest, "the same part of the context"},
    {"model.rope_context", kContext, 1, Round::kNearest, "as the context"},
    {"train.seq_len", kContext, 16, Round::kNearest, "texts that a step of a second can hold"},
    {"train.batch_tokens", 1.0 / 96, 4096, Round::kPowerOfTwo, "about half as many steps as on 8 H100s"},
    {"train.warmdown_steps", kSteps, 1, Round::kNearest, "the same part of training"},
    {"train.lr_warmup_steps", kSteps, 1, Round::kNearest, "the same part of training"},
    {"train.swa_every", kSteps, 1, Round::kNearest, "the same part of training"},
    {"train.lawa_every", kSteps, 1, Round::kNearest, "the same part of training"},
    {"optimizer.muon_momentum_warmup_steps", kSteps, 1, Round::kNearest, "the same part of training"},
    {"eval.context", kContext, 16, Round::kNearest, "as the context"},
    {"ttt.chunk_tokens", kContext, 256, Round::kNearest, "as the context"},
    {"ttt.batch_tokens", kContext, 16, Round::kNearest, "as the context"},
    {"ttt.phase_documents", 1.0 / 96, 3, Round::kNearest, "a shorter text is scored"},
    {"quant.calibration_tokens", 1.0 / 96, 65536, Round::kNearest, "as the tokens of a step"},
    {"ttt.frozen_blocks", kDepth, 1, Round::kNearest, "the same part of the depth"},
});
// A decay per step that forgets the same part of training in half the steps is squared.
constexpr auto kDecays = std::to_array<std::string_view>({
    "train.ema_decay", "optimizer.ema_nesterov_gamma"});
// clang-format on

double round_as(const Factor& f, double value) {
  const double scaled = std::max(f.least, value * f.factor);
  if (f.round == Round::kUp) return std::ceil(scaled);
  if (f.round == Round::kNearest) return std::round(scaled);
  return static_cast<double>(std::bit_floor(static_cast<uint64_t>(scaled)));
}

template <class Member>
void scale_member(const std::string& key, Member& member) {
  if constexpr (std::is_same_v<Member, int64_t>) {
    const auto* f = std::ranges::find(kFactors, key, &Factor::key);
    if (f != kFactors.end() && member > 0) {
      member = static_cast<int64_t>(round_as(*f, static_cast<double>(member)));
    }
  } else if constexpr (std::is_same_v<Member, double>) {
    if (std::ranges::count(kDecays, key) > 0) member *= member;
  }
}

// Of "2,4", numbers below `before`, the same parts of `after`: rising ones below `end`.
std::string scale_numbers(const std::string& text, int64_t before, int64_t after, int64_t end) {
  std::vector<int64_t> numbers;
  for (const int64_t number : read_layers(text)) {
    const int64_t scaled = number * after / before;
    if (scaled < end && (numbers.empty() || scaled > numbers.back())) numbers.push_back(scaled);
  }
  return fmt::format("{}", fmt::join(numbers, ","));
}

// What follows from other keys, of the same model before.
void fit_width(const ModelConfig& before, ModelConfig& model) {
  model.dim = model.heads * before.head_dim();
  model.mlp_hidden = (before.mlp_hidden * model.dim / before.dim + 7) / 8 * 8;
  model.kv_heads = std::max<int64_t>(1, before.kv_heads * model.heads / before.heads);
  while (model.heads % model.kv_heads != 0) --model.kv_heads;
  model.xsa_last_n = std::min(model.xsa_last_n, model.layers);
  model.value_embed_layers = std::min(model.value_embed_layers, model.layers);
  if (before.loop_passes == 1) {  // what is off stays as it was
    model.loop_first = before.loop_first;
    model.loop_last = before.loop_last;
  }
  if (before.parallel_residual == ParallelResidual::kNone) {
    model.parallel_from = before.parallel_from;
  }
  if (before.loop_passes > 1 && before.parallel_residual != ParallelResidual::kNone &&
      before.loop_last < before.parallel_from) {  // and remains before it
    model.parallel_from =
        std::min(std::max(model.parallel_from, model.loop_last + 1), model.layers - 1);
    model.loop_last = std::min(model.loop_last, model.parallel_from - 1);
    model.loop_first = std::min(model.loop_first, model.loop_last);
  }
  const int64_t runs_before = before.layers + loop_runs(before);
  const int64_t runs = model.layers + loop_runs(model);
  model.mudd_at = scale_numbers(before.mudd_at, runs_before, runs, runs);
  model.mudd_local_at = scale_numbers(before.mudd_local_at, runs_before, runs, runs);
  model.mudd_value_at = scale_numbers(before.mudd_value_at, runs_before, runs, runs - 1);
  // Three heads, as of eight, make no pairs.
  const bool has_pairs = model.heads % 2 == 0 && model.kv_heads % 2 == 0;
  model.paired_heads_at = scale_numbers(has_pairs ? before.paired_heads_at : "", before.layers,
                                        model.layers, model.layers);
  // As many as were named, at the end.
  if (!before.value_embed_at.empty()) {
    const auto commas = std::ranges::count(before.value_embed_at, ',');
    model.value_embed_layers = std::min<int64_t>(commas + 1, model.layers);
    model.value_embed_at.clear();
  }
}

// "1024@0.1,3072@1" with the lengths of shorter sequences.
void fit_growth(const TrainConfig& before, TrainConfig& train) {
  if (before.seq_len_growth.empty()) return;
  std::vector<std::string> stages;
  for (const LengthStage& stage : list_length_stages(before)) {
    stages.push_back(
        fmt::format("{}@{}", stage.seq_len * train.seq_len / before.seq_len, stage.until));
  }
  train.seq_len_growth = fmt::format("{}", fmt::join(stages, ","));
}

// A step has whole micro-batches and these whole rows, of each length that rows have.
void fit_batches(TrainConfig& train) {
  constexpr int64_t kMostMicroBatchTokens = 4096;
  const int64_t micro = std::min(kMostMicroBatchTokens, train.batch_tokens);
  int64_t rows = 1;
  for (const LengthStage& stage : list_length_stages(train)) rows = std::lcm(rows, stage.seq_len);
  train.micro_batch_tokens = std::max(micro / rows, int64_t{1}) * rows;
  train.batch_tokens = std::max(train.batch_tokens / micro, int64_t{1}) * train.micro_batch_tokens;
  train.gradient_leaves = 1;
}

void fit_learning(const TttConfig& before, TttConfig& ttt) {
  ttt.gradient_leaves = 1;
  if (ttt.kind != TttKind::kLora && ttt.kind != TttKind::kPhasedLora) return;
  ttt.lora_rank = std::max(std::llround(static_cast<double>(before.lora_rank) * kWidth), 1LL);
  ttt.lora_alpha *= static_cast<double>(ttt.lora_rank) / static_cast<double>(before.lora_rank);
}

}  // namespace

Recipe scale_to_cpu(const Recipe& recipe) {
  if (recipe.track.name == kCpuTrack) {
    throw Error(
        fmt::format("the recipe is of track \"{}\" already; give one of 10min_16mb", kCpuTrack));
  }
  Recipe scaled = recipe;
  visit_recipe_fields(scaled, [](const char* section, const FieldInfo& info, auto& member) {
    scale_member(fmt::format("{}.{}", section, info.key), member);
  });
  fit_width(recipe.model, scaled.model);
  scaled.track.name = kCpuTrack;
  scaled.track.hardware = "2 CPU cores";
  // The default corpus, which scripts/demo.sh builds, has a vocabulary of 1,024.
  scaled.data = {};
  scaled.data.loader = recipe.data.loader;
  scaled.data.train_shards = "data/default/sp1024/default_train_*.bin";
  scaled.data.val_shards = "data/default/sp1024/default_val_*.bin";
  scaled.data.tokenizer = "data/default/sp1024.model";
  scaled.model.vocab_size = 1024;
  scaled.eval.case_ops = false;
  fit_growth(recipe.train, scaled.train);
  fit_batches(scaled.train);
  fit_learning(recipe.ttt, scaled.ttt);
  if (scaled.train.wallclock_s > 0) scaled.train.max_steps = 100000;  // the clock ends it
  scaled.train.log_every = 50;
  scaled.eval.stride = std::min(recipe.eval.stride, scaled.eval.context);
  return scaled;
}

std::vector<ScaledKey> scaling_rule() {
  std::vector<ScaledKey> rule;
  for (const Factor& f : kFactors) {
    const char* how = f.round == Round::kUp           ? ", up"
                      : f.round == Round::kPowerOfTwo ? ", down to a power of two"
                                                      : "";
    rule.push_back({std::string(f.key),
                    fmt::format("x {:.4g}{}, at least {}: {}", f.factor, how, f.least, f.why)});
  }
  for (const std::string_view key : kDecays) {
    rule.push_back({std::string(key), "squared: the same part of training in half the steps"});
  }
  rule.push_back({"model.dim", "heads x the head size, which stays"});
  rule.push_back({"model.mlp_hidden", "as the width, in steps of 8"});
  rule.push_back({"model.kv_heads", "as the heads, at least 1, dividing them"});
  rule.push_back({"model.vocab_size", "1024, with the default corpus of scripts/demo.sh"});
  rule.push_back({"eval.case_ops", "false, as that corpus has no operators"});
  rule.push_back({"train.seq_len_growth", "as train.seq_len"});
  rule.push_back({"train.micro_batch_tokens", "4096 at most, in whole rows, and so is the batch"});
  rule.push_back({"train.gradient_leaves", "1"});
  rule.push_back({"ttt.gradient_leaves", "1"});
  rule.push_back(
      {"ttt.lora_rank", "of a recipe with adapters as the width, and lora_alpha with it"});
  rule.push_back({"train.max_steps", "100000 where the clock ends training"});
  return rule;
}

}  // namespace pg
