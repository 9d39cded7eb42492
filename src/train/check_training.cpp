#include "src/train/check_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/error.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr int64_t kTableSteps = 5;  // of a schedule of coefficients

void check_schedules(const TrainConfig& train) {
  if (train.lr_warmup_steps >= train.max_steps && train.lr_warmup_steps > 0) {
    throw Error(fmt::format(
        "train.lr_warmup_steps \"{}\" leaves no step at the full learning rate; give less than the "
        "{} of train.max_steps, or 0",
        train.lr_warmup_steps, train.max_steps));
  }
}

void check_targets(const TrainConfig& train) {
  if (train.bag_targets > 1 && train.future_targets > 0) {
    throw Error(fmt::format(
        "train.bag_targets \"{}\" and train.future_targets \"{}\" both weigh the tokens "
        "after the next one; set the first to 1 or the other to 0",
        train.bag_targets, train.future_targets));
  }
  const int64_t following = std::max(train.bag_targets, train.future_targets + 1);
  if (following > train.seq_len) {
    throw Error(
        fmt::format("a position would predict {} tokens of windows of train.seq_len \"{}\"; lower "
                    "train.bag_targets or train.future_targets",
                    following, train.seq_len));
  }
}

void check_further_tokens(const ModelConfig& model, const TrainConfig& train) {
  if (train.mtp_modules > 0 && model.memory_tokens > 0) {
    throw Error(fmt::format(
        "train.mtp_modules \"{}\" read a state of each token, and model.memory_tokens \"{}\" have "
        "none behind the last block; take train.mtp_heads, or set memory_tokens = 0",
        train.mtp_modules, model.memory_tokens));
  }
  if (train.mtp_modules > 0 && runs_in_lanes(model, model.layers - 1)) {
    throw Error(fmt::format(
        "train.mtp_modules \"{}\" are blocks of one stream, and those of model.parallel_residual "
        "\"{}\" have two; take train.mtp_heads, or parallel_residual = \"gptj\"",
        train.mtp_modules, choice_name(model.parallel_residual)));
  }
  if (train.mtp_heads > 0 && train.mtp_modules > 0) {
    throw Error(
        fmt::format("train.mtp_heads \"{}\" and train.mtp_modules \"{}\" both predict the tokens "
                    "after the next one; set one of them to 0",
                    train.mtp_heads, train.mtp_modules));
  }
  const int64_t further = train.mtp_heads + train.mtp_modules;
  if (further >= train.seq_len) {
    throw Error(fmt::format(
        "train.mtp_heads or mtp_modules \"{}\" would predict a token beyond every window of "
        "train.seq_len \"{}\"; give less",
        further, train.seq_len));
  }
  if (further > 0 && train.mtp_weight == 0) {
    throw Error(
        "train.mtp_weight \"0\" leaves train.mtp_heads or mtp_modules without a gradient; give "
        "more, "
        "or set these to 0");
  }
}

void check_average(const TrainConfig& train) {
  const bool has_ema = train.average == Average::kEma || train.average == Average::kEmaSwa ||
                       train.average == Average::kBest;
  const std::pair<const char*, double> keys[] = {
      {"ema_start_fraction", train.ema_start_fraction},
      {"ema_start_lr", train.ema_start_lr},
      {"ema_restart_fraction", train.ema_restart_fraction}};
  for (const auto& [key, value] : keys) {
    if (value == 0 || has_ema) continue;
    throw Error(
        fmt::format("train.{} is \"{}\", but train.average \"{}\" keeps no EMA; give 0, or "
                    "set train.average to \"ema\", \"ema_swa\" or \"best\"",
                    key, value, choice_name(train.average)));
  }
  if (train.ema_restart_fraction > 0 && train.ema_restart_fraction <= train.ema_start_fraction) {
    throw Error(
        fmt::format("train.ema_restart_fraction \"{}\" is not after train.ema_start_fraction "
                    "\"{}\"; give more, "
                    "or 0 for none",
                    train.ema_restart_fraction, train.ema_start_fraction));
  }
}

void check_ema_nesterov(const OptimizerConfig& optimizer) {
  if (optimizer.ema_nesterov_beta == 0) return;
  if (optimizer.ema_nesterov_start < optimizer.ema_nesterov_end) return;
  throw Error(
      fmt::format("optimizer.ema_nesterov_start \"{}\" is not before optimizer.ema_nesterov_end "
                  "\"{}\", so that "
                  "nothing would be looked ahead; give less, or an ema_nesterov_beta of 0",
                  optimizer.ema_nesterov_start, optimizer.ema_nesterov_end));
}

void check_matrices(const OptimizerConfig& optimizer) {
  const bool is_table = optimizer.newton_schulz == NewtonSchulz::kPolarExpress ||
                        optimizer.newton_schulz == NewtonSchulz::kTurbo;
  if (is_table && optimizer.newton_schulz_steps > kTableSteps) {
    throw Error(fmt::format(
        "optimizer.newton_schulz_steps is \"{}\", but optimizer.newton_schulz \"{}\" has {} steps; "
        "give at most {}, or take \"quintic\" or \"stock\"",
        optimizer.newton_schulz_steps, choice_name(optimizer.newton_schulz), kTableSteps,
        kTableSteps));
  }
  if (optimizer.aurora_iterations > 0 && optimizer.muon_row_norm) {
    throw Error(
        "optimizer.aurora_iterations and optimizer.muon_row_norm both rescale the rows of an "
        "update; set one to 0, or the other to false");
  }
}

void check_own_or_adam(const char* key, double value) {
  if (value >= 0 || value == kAsAdam) return;
  throw Error(
      fmt::format("optimizer.{} is negative: \"{}\"; give 0 or more, or -1 for what "
                  "embeddings share with the rest",
                  key, value));
}

}  // namespace

void check_training(const ModelConfig& model, const TrainConfig& train,
                    const OptimizerConfig& optimizer) {
  check_schedules(train);
  check_targets(train);
  check_further_tokens(model, train);
  check_average(train);
  check_matrices(optimizer);
  check_ema_nesterov(optimizer);
  check_own_or_adam("embed_weight_decay", optimizer.embed_weight_decay);
  check_own_or_adam("embed_beta1", optimizer.embed_beta1);
  check_own_or_adam("embed_beta2", optimizer.embed_beta2);
}

}  // namespace pg
