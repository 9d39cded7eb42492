// Recipe keys of training: budget, batches, schedules, optimizers, averaging.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

struct TrainConfig {
  double wallclock_s = 600.0;
  double reserve_s = 0.0;
  int64_t max_steps = 20000;
  int64_t batch_tokens = 786432;
  int64_t micro_batch_tokens = 8192;
  int64_t seq_len = 2048;
  int64_t seed = 1337;
  std::string warmdown_form = "steps";
  int64_t warmdown_steps = 3500;
  double warmdown_fraction = 0.667;
  double min_lr = 0.0;
  std::string average = "ema";
  double ema_decay = 0.997;
  int64_t swa_every = 50;
  double swa_start_lr = 0.2;
  int64_t log_every = 10;
  int64_t val_every = 0;
  double checkpoint_every_s = 60.0;
};

struct OptimizerConfig {
  double matrix_lr = 0.025;
  double embed_lr = 0.035;
  double scalar_lr = 0.025;
  double muon_momentum = 0.99;
  double muon_momentum_start = 0.92;
  int64_t muon_momentum_warmup_steps = 1500;
  int64_t newton_schulz_steps = 5;
  std::string newton_schulz = "stock";
  bool muon_row_norm = false;
  double muon_weight_decay = 0.04;
  double adam_weight_decay = 0.04;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.95;
  double adam_epsilon = 1e-8;
  double grad_clip_norm = 0.3;
};

template <class Config, class Visit>
void visit_train_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "wallclock_s",
                  .help = "training budget; the last step ends before it; 0 means no cap",
                  .unit = "s",
                  .environment = "MAX_WALLCLOCK_SECONDS",
                  .min = 0,
                  .max = 1e7},
        c.wallclock_s);
  visit(FieldInfo{.key = "reserve_s",
                  .help = "part of the budget kept free for calibration after the last step",
                  .unit = "s",
                  .min = 0,
                  .max = 1e6},
        c.reserve_s);
  visit(FieldInfo{.key = "max_steps",
                  .help = "optimizer steps at most",
                  .unit = "steps",
                  .environment = "ITERATIONS",
                  .min = 0,
                  .max = 1e9},
        c.max_steps);
  visit(FieldInfo{.key = "batch_tokens",
                  .help = "tokens per optimizer step; a multiple of seq_len",
                  .unit = "tokens",
                  .environment = "TRAIN_BATCH_TOKENS",
                  .min = 1,
                  .max = 1e9},
        c.batch_tokens);
  visit(
      FieldInfo{
          .key = "micro_batch_tokens",
          .help =
              "tokens per forward and backward pass; divides batch_tokens, a multiple of seq_len",
          .unit = "tokens",
          .min = 1,
          .max = 1e8},
      c.micro_batch_tokens);
  visit(FieldInfo{.key = "seq_len",
                  .help = "training context",
                  .unit = "tokens",
                  .environment = "TRAIN_SEQ_LEN",
                  .min = 1,
                  .max = 1 << 20},
        c.seq_len);
  visit(FieldInfo{.key = "seed",
                  .help = "seeds the weights and the data order",
                  .environment = "SEED",
                  .min = 0,
                  .max = 9007199254740992.0},
        c.seed);
  visit(FieldInfo{.key = "warmdown_form",
                  .help = "steps: the last warmdown_steps at the measured step time; fraction: the "
                          "last part of the budget",
                  .choices = "steps|fraction"},
        c.warmdown_form);
  visit(FieldInfo{.key = "warmdown_steps",
                  .help = "length of the linear warmdown in steps",
                  .unit = "steps",
                  .environment = "WARMDOWN_ITERS",
                  .min = 0,
                  .max = 1e9},
        c.warmdown_steps);
  visit(FieldInfo{.key = "warmdown_fraction",
                  .help = "part of the budget that the linear warmdown takes",
                  .environment = "WARMDOWN_FRAC",
                  .min = 0,
                  .max = 1},
        c.warmdown_fraction);
  visit(FieldInfo{.key = "min_lr",
                  .help = "learning-rate multiplier at the end of the warmdown",
                  .environment = "MIN_LR",
                  .min = 0,
                  .max = 1},
        c.min_lr);
  visit(FieldInfo{.key = "average", .help = "weights that are exported", .choices = "none|ema|swa"},
        c.average);
  visit(FieldInfo{.key = "ema_decay",
                  .help = "decay of the exponential moving average, per step",
                  .environment = "EMA_DECAY",
                  .min = 0,
                  .max = 1},
        c.ema_decay);
  visit(FieldInfo{.key = "swa_every",
                  .help = "steps between snapshots of the stochastic weight average",
                  .unit = "steps",
                  .environment = "SWA_EVERY",
                  .min = 1,
                  .max = 1e9},
        c.swa_every);
  visit(FieldInfo{.key = "swa_start_lr",
                  .help = "snapshots are taken once the learning-rate multiplier is below this",
                  .min = 0,
                  .max = 2},
        c.swa_start_lr);
  visit(FieldInfo{.key = "log_every",
                  .help = "steps between training log lines",
                  .unit = "steps",
                  .environment = "TRAIN_LOG_EVERY",
                  .min = 1,
                  .max = 1e9},
        c.log_every);
  visit(FieldInfo{.key = "val_every",
                  .help = "steps between validation passes; 0 means only at the end",
                  .unit = "steps",
                  .environment = "VAL_LOSS_EVERY",
                  .min = 0,
                  .max = 1e9},
        c.val_every);
  visit(FieldInfo{.key = "checkpoint_every_s",
                  .help = "seconds between checkpoints; 0 means none",
                  .unit = "s",
                  .min = 0,
                  .max = 1e7},
        c.checkpoint_every_s);
}

template <class Config, class Visit>
void visit_optimizer_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "matrix_lr",
                  .help = "Muon learning rate of the matrices",
                  .environment = "MATRIX_LR",
                  .min = 0,
                  .max = 10},
        c.matrix_lr);
  visit(FieldInfo{.key = "embed_lr",
                  .help = "AdamW learning rate of embedding tables",
                  .environment = "TIED_EMBED_LR",
                  .min = 0,
                  .max = 10},
        c.embed_lr);
  visit(FieldInfo{.key = "scalar_lr",
                  .help = "AdamW learning rate of vectors, scalars and small projections",
                  .environment = "SCALAR_LR",
                  .min = 0,
                  .max = 10},
        c.scalar_lr);
  visit(FieldInfo{.key = "muon_momentum",
                  .help = "Muon momentum after its warm-up",
                  .environment = "MUON_MOMENTUM",
                  .min = 0,
                  .max = 1},
        c.muon_momentum);
  visit(FieldInfo{.key = "muon_momentum_start",
                  .help = "Muon momentum at step 0",
                  .environment = "MUON_MOMENTUM_WARMUP_START",
                  .min = 0,
                  .max = 1},
        c.muon_momentum_start);
  visit(FieldInfo{.key = "muon_momentum_warmup_steps",
                  .help = "steps of the linear momentum warm-up",
                  .unit = "steps",
                  .environment = "MUON_MOMENTUM_WARMUP_STEPS",
                  .min = 0,
                  .max = 1e9},
        c.muon_momentum_warmup_steps);
  visit(FieldInfo{.key = "newton_schulz_steps",
                  .help = "Newton-Schulz iterations",
                  .environment = "MUON_BACKEND_STEPS",
                  .min = 1,
                  .max = 5},
        c.newton_schulz_steps);
  visit(FieldInfo{.key = "newton_schulz",
                  .help =
                      "coefficients: stock (3.4445, -4.7750, 2.0315) or the Polar Express schedule",
                  .choices = "stock|polar_express"},
        c.newton_schulz);
  visit(FieldInfo{.key = "muon_row_norm",
                  .help = "normalise the rows of the update before Newton-Schulz (MuonEq-R)"},
        c.muon_row_norm);
  visit(FieldInfo{.key = "muon_weight_decay",
                  .help = "decoupled weight decay of the matrices",
                  .environment = "MUON_WD",
                  .min = 0,
                  .max = 10},
        c.muon_weight_decay);
  visit(FieldInfo{.key = "adam_weight_decay",
                  .help = "decoupled weight decay of the AdamW groups",
                  .environment = "ADAM_WD",
                  .min = 0,
                  .max = 10},
        c.adam_weight_decay);
  visit(FieldInfo{.key = "adam_beta1",
                  .help = "AdamW beta1",
                  .environment = "BETA1",
                  .min = 0,
                  .max = 0.99999},
        c.adam_beta1);
  visit(FieldInfo{.key = "adam_beta2",
                  .help = "AdamW beta2",
                  .environment = "BETA2",
                  .min = 0,
                  .max = 0.99999},
        c.adam_beta2);
  visit(FieldInfo{.key = "adam_epsilon",
                  .help = "AdamW epsilon, outside the square root",
                  .min = 0,
                  .max = 1},
        c.adam_epsilon);
  visit(
      FieldInfo{
          .key = "grad_clip_norm",
          .help = "global L2 norm that the reduced gradient is clipped to; 0 switches clipping off",
          .environment = "GRAD_CLIP_NORM",
          .min = 0,
          .max = 1e6},
      c.grad_clip_norm);
}

}  // namespace pg
