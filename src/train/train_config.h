// Recipe keys of training: budget, batches, schedules, optimizers, averaging.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

enum class WarmdownForm : uint8_t { kSteps, kFraction };
template <>
inline constexpr auto kChoiceNames<WarmdownForm> = name_choices("steps", "fraction");

// How the learning rate falls in its warmdown.
enum class WarmdownShape : uint8_t { kLinear, kCosine, kSqrt };
template <>
inline constexpr auto kChoiceNames<WarmdownShape> = name_choices("linear", "cosine", "sqrt");

// See average.h.
enum class Average : uint8_t { kNone, kEma, kSwa, kLawa, kEmaSwa, kBest };
template <>
inline constexpr auto kChoiceNames<Average> = name_choices("none", "ema", "swa", "lawa", "ema_swa",
                                                           "best");

// Weights of a bag's tokens, in text order: the same, 1/i, or the first alone.
enum class BagWeights : uint8_t { kUniform, kPowerLaw, kFirst };
template <>
inline constexpr auto kChoiceNames<BagWeights> = name_choices("uniform", "power_law", "first");

// Which optimizer has the heads of multi-token prediction.
enum class MtpGroup : uint8_t { kMuon, kAdam };
template <>
inline constexpr auto kChoiceNames<MtpGroup> = name_choices("muon", "adam");

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
  WarmdownShape warmdown_shape = WarmdownShape::kLinear;
  double min_lr = 0.0;
  int64_t lr_warmup_steps = 0;
  Average average = Average::kEma;
  double ema_decay = 0.997;
  double ema_start_fraction = 0.0;
  double ema_start_lr = 0.0;
  double ema_restart_fraction = 0.0;
  int64_t swa_every = 50;
  double swa_start_lr = 0.2;
  int64_t lawa_every = 100;
  int64_t lawa_count = 10;
  int64_t held_out_tokens = 65536;
  int64_t log_every = 10;
  int64_t val_every = 0;
  double checkpoint_every_s = 60.0;
  int64_t gradient_leaves = 1;
  Sums sums = Sums::kOrdered;
  int64_t bag_targets = 1;
  double bag_fraction = 0.3;
  BagWeights bag_weights = BagWeights::kUniform;
  int64_t future_targets = 0;
  double future_weight = 0.5;
  double future_until = 2.0 / 3.0;
  double prefix_weight = 0.0;
  double late_qat_lr = 0.0;
  double z_loss = 0.0;
  double complement_alpha = 0.0;
  int64_t mtp_heads = 0;
  int64_t mtp_modules = 0;
  double mtp_weight = 0.1;
  MtpGroup mtp_group = MtpGroup::kMuon;
  double loop_from = 0.0;
  bool bag_inputs = false;
  bool bag_iso_data = false;
  bool bag_reset = false;
  std::string seq_len_growth = {};
};

// Tokens at the end of the training text that no step reads.
inline int64_t held_out_tokens(const TrainConfig& c) {
  return c.average == Average::kBest ? c.held_out_tokens : 0;
}

// Whether what a step runs changes within a training: phases.h.
inline bool has_phases(const TrainConfig& c) {
  return c.loop_from > 0 || (c.bag_inputs && c.bag_targets > 1) || !c.seq_len_growth.empty();
}

enum class NewtonSchulz : uint8_t { kStock, kPolarExpress, kQuintic, kTurbo };
template <>
inline constexpr auto kChoiceNames<NewtonSchulz> = name_choices("stock", "polar_express", "quintic",
                                                                "turbo");

// What bounds the norm of a matrix before Newton-Schulz: ops.h, NewtonSchulzStart.
enum class NewtonSchulzScaling : uint8_t { kNorm, kAol };
template <>
inline constexpr auto kChoiceNames<NewtonSchulzScaling> = name_choices("norm", "aol");

// Second moments of the rows, or columns, of Muon's update: ops.h, normuon.
enum class NorMuon : uint8_t { kOff, kPaper, kModded };
template <>
inline constexpr auto kChoiceNames<NorMuon> = name_choices("off", "paper", "modded");

// Of a key for embeddings: what its adam_ key says.
inline constexpr double kAsAdam = -1.0;

struct OptimizerConfig {
  double matrix_lr = 0.025;
  double embed_lr = 0.035;
  double scalar_lr = 0.025;
  double head_lr = 0.008;
  double muon_momentum = 0.99;
  double muon_momentum_start = 0.92;
  int64_t muon_momentum_warmup_steps = 1500;
  int64_t newton_schulz_steps = 5;
  NewtonSchulz newton_schulz = NewtonSchulz::kStock;
  NewtonSchulzScaling newton_schulz_scaling = NewtonSchulzScaling::kNorm;
  bool muon_row_norm = false;
  int64_t aurora_iterations = 0;
  double aurora_beta = 0.5;
  NorMuon normuon = NorMuon::kOff;
  double normuon_beta2 = 0.95;
  double muon_weight_decay = 0.04;
  bool cautious_weight_decay = false;
  double weight_decay_taper_start = 1.0;
  double weight_decay_taper_end = 0.5;
  double adam_weight_decay = 0.04;
  double embed_weight_decay = kAsAdam;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.95;
  double embed_beta1 = kAsAdam;
  double embed_beta2 = kAsAdam;
  double adam_epsilon = 1e-8;
  double grad_clip_norm = 0.3;
  double ema_nesterov_beta = 0.0;
  double ema_nesterov_gamma = 0.99;
  double ema_nesterov_start = 0.15;
  double ema_nesterov_end = 0.77;
};

}  // namespace pg
