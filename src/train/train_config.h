// Recipe keys of training: budget, batches, schedules, optimizers, averaging.
#pragma once
#include <cstdint>

#include "src/base/field.h"

namespace pg {

enum class WarmdownForm : uint8_t { kSteps, kFraction };
template <>
inline constexpr auto kChoiceNames<WarmdownForm> = name_choices("steps", "fraction");

enum class Average : uint8_t { kNone, kEma, kSwa };
template <>
inline constexpr auto kChoiceNames<Average> = name_choices("none", "ema", "swa");

// How the ranks' parts of the gradient are summed.
enum class Sums : uint8_t { kOrdered, kFast };
template <>
inline constexpr auto kChoiceNames<Sums> = name_choices("ordered", "fast");

struct TrainConfig {
  double wallclock_s = 600.0;
  double reserve_s = 0.0;
  int64_t max_steps = 20000;
  int64_t batch_tokens = 786432;
  int64_t micro_batch_tokens = 8192;
  int64_t seq_len = 2048;
  int64_t seed = 1337;
  WarmdownForm warmdown_form = WarmdownForm::kSteps;
  int64_t warmdown_steps = 3500;
  double warmdown_fraction = 0.667;
  double min_lr = 0.0;
  Average average = Average::kEma;
  double ema_decay = 0.997;
  int64_t swa_every = 50;
  double swa_start_lr = 0.2;
  int64_t log_every = 10;
  int64_t val_every = 0;
  double checkpoint_every_s = 60.0;
  int64_t gradient_leaves = 1;
  Sums sums = Sums::kOrdered;
};

enum class NewtonSchulz : uint8_t { kStock, kPolarExpress };
template <>
inline constexpr auto kChoiceNames<NewtonSchulz> = name_choices("stock", "polar_express");

struct OptimizerConfig {
  double matrix_lr = 0.025;
  double embed_lr = 0.035;
  double scalar_lr = 0.025;
  double muon_momentum = 0.99;
  double muon_momentum_start = 0.92;
  int64_t muon_momentum_warmup_steps = 1500;
  int64_t newton_schulz_steps = 5;
  NewtonSchulz newton_schulz = NewtonSchulz::kStock;
  bool muon_row_norm = false;
  double muon_weight_decay = 0.04;
  double adam_weight_decay = 0.04;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.95;
  double adam_epsilon = 1e-8;
  double grad_clip_norm = 0.3;
};

}  // namespace pg
