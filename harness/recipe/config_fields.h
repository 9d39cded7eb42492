// THE table of recipe keys: one row a key, with range, unit, community environment name, help, and
// what the key affects. Parsing, --set, environment, printing, help, comparison and identities are
// visitors over it. A key is a member of its struct, which holds the default, and a row here, and
// nothing else; the rows of [model], [eval], [ttt] and [mix] stand beside their structs, because an
// artifact stores them.
#pragma once
#include "eval/learn/ttt_config.h"
#include "eval/mix/mix_config.h"
#include "eval/score/eval_config.h"
#include "harness/recipe/recipe.h"
#include "harness/recipe/track_config.h"
#include "quant/format/quant_config.h"
#include "src/data/data_config.h"
#include "src/model/model_config.h"
#include "src/train/train_config.h"

namespace pg {

// clang-format off
template <class Config, class Visit>
void visit_track_fields(Config& c, Visit&& visit) {
  const auto shown = affecting(Affects::kShown, visit);
  const auto training = affecting(Affects::kTraining, visit);
  shown("name", c.name, {.help = "track, as in records/<track>/ and submission.json"});
  shown("hardware", c.hardware, {.help = "hardware the track prescribes; goes into the record"});
  training("device", c.device, {.help = "device to run on; --device overrides it"});
  shown("exchange", c.exchange, {.help = "what moves the ranks' gradients and weights between GPUs: nccl, "
      "or the memory of their hosts; auto: nccl where every rank has it and a GPU of its own"});
}

template <class Config, class Visit>
void visit_data_fields(Config& c, Visit&& visit) {
  const auto training = affecting(Affects::kTraining, visit);
  const auto scoring = affecting(Affects::kScoring, visit);
  const auto shown = affecting(Affects::kShown, visit);
  training("train_shards", c.train_shards, {.is_path = true,
      .help = "training shards in the challenge's format: a file or a glob; like every path in a "
      "recipe from the folder the program is started in"});
  scoring("val_shards", c.val_shards, {.is_path = true,
      .help = "validation shards: a file or a glob"});
  scoring("tokenizer", c.tokenizer, {.env = "TOKENIZER_PATH", .is_path = true,
      .help = "SentencePiece .model file that made the shards"});
  training("loader", c.loader, {.help = "order of the training windows; packed: micro-batches of text "
      "in stream order, in which each document, at most seq_len tokens of it, attends within itself "
      "alone (parameter-golf PR #1610)"});
  shown("force", c.force, {.help = "go on although shards are not "
      "their manifest's, bytes a token are not exact, or validation text is training text"});
}

template <class Config, class Visit>
void visit_train_fields(Config& c, Visit&& visit) {
  const auto training = affecting(Affects::kTraining, visit);
  const auto shown = affecting(Affects::kShown, visit);
  training("wallclock_s", c.wallclock_s, {.min = 0, .max = 1e7, .unit = "s",
      .env = "MAX_WALLCLOCK_SECONDS",
      .help = "training budget; the last step ends before it; 0 means no cap"});
  training("reserve_s", c.reserve_s, {.min = 0, .max = 1e6, .unit = "s",
      .help = "limit of what is kept free for calibration after the last step; 0: as much as was "
      "rehearsed before the first, and a margin"});
  training("max_steps", c.max_steps, {.min = 1, .max = 1e9, .unit = "steps", .env = "ITERATIONS",
      .help = "optimizer steps at most"});
  training("batch_tokens", c.batch_tokens, {.min = 1, .max = 1e9, .unit = "tokens",
      .env = "TRAIN_BATCH_TOKENS", .help = "tokens per optimizer step; a multiple of seq_len"});
  training("micro_batch_tokens", c.micro_batch_tokens, {.min = 1, .max = 1e8, .unit = "tokens",
      .help = "tokens per forward and backward pass; divides batch_tokens, a multiple of seq_len"});
  training("seq_len", c.seq_len, {.min = 1, .max = 1 << 20, .unit = "tokens",
      .env = "TRAIN_SEQ_LEN", .help = "training context"});
  training("seed", c.seed, {.min = 0, .max = 9007199254740992.0, .env = "SEED",
      .help = "seeds the weights and the data order"});
  training("warmdown_form", c.warmdown_form, {.help = "steps: the last warmdown_steps at the "
      "measured step time; fraction: the last part of the budget"});
  training("warmdown_steps", c.warmdown_steps, {.min = 0, .max = 1e9, .unit = "steps",
      .env = "WARMDOWN_ITERS", .help = "length of the linear warmdown in steps"});
  training("warmdown_fraction", c.warmdown_fraction, {.min = 0, .max = 1, .env = "WARMDOWN_FRAC",
      .help = "part of the budget that the linear warmdown takes"});
  training("min_lr", c.min_lr, {.min = 0, .max = 1, .env = "MIN_LR",
      .help = "learning-rate multiplier at the end of the warmdown"});
  training("warmdown_shape", c.warmdown_shape, {.help = "how the learning rate falls: linear with "
      "min_lr as a floor, or to min_lr by a cosine or by 1 - the root of the part that is over; a "
      "cosine over all of training is warmdown_fraction = 1 in the fraction form"});
  training("lr_warmup_steps", c.lr_warmup_steps, {.min = 0, .max = 1e9, .unit = "steps",
      .help = "steps of the linear learning-rate warm-up; 0 for none; with a warmdown this is WSD"});
  training("average", c.average, {.help = "weights that are exported: the last, an exponential moving "
      "average, the mean of snapshots (swa), of the last few (lawa), or of the moving average's (ema_swa); "
      "best: of ema, ema_swa, swa and the last the one of least loss after quantisation on held-out text"});
  training("ema_decay", c.ema_decay, {.min = 0, .max = 1, .env = "EMA_DECAY",
      .help = "decay of the exponential moving average, per step"});
  training("ema_start_fraction", c.ema_start_fraction, {.min = 0, .max = 1,
      .help = "part of the budget after which the moving average begins, from the weights of then"});
  training("ema_start_lr", c.ema_start_lr, {.min = 0, .max = 2,
      .help = "it begins no sooner than the learning-rate multiplier falls below this; 0: no limit"});
  training("ema_restart_fraction", c.ema_restart_fraction, {.min = 0, .max = 1,
      .help = "part of the budget after which it begins anew from the weights; 0 for never"});
  training("swa_every", c.swa_every, {.min = 1, .max = 1e9, .unit = "steps", .env = "SWA_EVERY",
      .help = "steps between snapshots of the stochastic weight average"});
  training("swa_start_lr", c.swa_start_lr, {.min = 0, .max = 2,
      .help = "snapshots are taken once the learning-rate multiplier is below this"});
  training("lawa_every", c.lawa_every, {.min = 1, .max = 1e9, .unit = "steps", .env = "LAWA_FREQ",
      .help = "steps between snapshots of the latest-weight average"});
  training("lawa_count", c.lawa_count, {.min = 1, .max = 1000, .env = "LAWA_K",
      .help = "snapshots that it is the mean of, each kept in the device's memory"});
  training("held_out_tokens", c.held_out_tokens, {.min = 2, .max = 1e9, .unit = "tokens",
      .help = "best: training text, the last of it, that no step reads and the averages are compared on"});
  shown("log_every", c.log_every, {.min = 1, .max = 1e9, .unit = "steps", .env = "TRAIN_LOG_EVERY",
      .help = "steps between training log lines"});
  shown("val_every", c.val_every, {.min = 0, .max = 1e9, .unit = "steps", .env = "VAL_LOSS_EVERY",
      .help = "steps between validation passes; 0 means only at the end"});
  shown("checkpoint_every_s", c.checkpoint_every_s, {.min = 0, .max = 1e7, .unit = "s",
      .help = "seconds between checkpoints; 0 means none"});
  training("gradient_leaves", c.gradient_leaves, {.min = 1, .max = 1 << 16,
      .help = "sums that a step's gradient is put together from: a power of two that divides the "
      "micro-batches; as many ranks as divide it give the same bytes"});
  training("sums", c.sums, {.help = "ordered: the same bytes for any number of ranks; fast: the "
      "ranks' parts are added in the order of the transport"});
  training("bag_targets", c.bag_targets, {.min = 1, .max = 64, .unit = "tokens",
      .help = "tokens s of a bag that each position predicts, the output half of token superposition "
      "(arXiv:2605.06546); 1: the next token alone"});
  training("bag_fraction", c.bag_fraction, {.min = 0, .max = 1,
      .help = "part of training up to which bags are predicted"});
  training("bag_weights", c.bag_weights, {.help = "weights of a bag's tokens in text order: uniform, "
      "power_law 1/i, or first alone"});
  training("future_targets", c.future_targets, {.min = 0, .max = 16, .unit = "tokens",
      .help = "tokens after the next one that each position predicts with the same logits (multi-token "
      "prediction of modded-nanogpt PR #178)"});
  training("future_weight", c.future_weight, {.min = 0, .max = 1,
      .help = "weight of the first of them; of each further one this much of the one before"});
  training("future_until", c.future_until, {.min = 0.01, .max = 1,
      .help = "part of training by which they have faded, the farthest first"});
  training("late_qat_lr", c.late_qat_lr, {.min = 0, .max = 2, .env = "LATE_QAT_THRESHOLD",
      .help = "gradients are taken at the weights as the packer rounds them (straight-through) once the "
      "warmdown's learning-rate multiplier is below this; 0 for never"});
  training("prefix_weight", c.prefix_weight, {.min = 0, .max = 1,
      .help = "weight of the longest token that the next one begins with (modded-nanogpt PR #337), "
      "falling to 0 in the second third of training; 0 switches it off"});
  training("z_loss", c.z_loss, {.min = 0, .max = 1,
      .help = "weight of the square of the log of the softmax's sum, added to the loss of each position "
      "(PaLM, OLMo; published 1e-4); part of the train loss that is shown; 0 switches it off"});
  training("complement_alpha", c.complement_alpha, {.min = 0, .max = 1, .env = "COMPLEMENT_ALPHA",
      .help = "complementary training: a position's loss has the weight max(1 - alpha p, 0.1), p how "
      "often its bigram has followed its token in the training text so far (parameter-golf PR #803; "
      "published 0.5); so has the train loss that is shown; 0 switches it off"});
  training("mtp_heads", c.mtp_heads, {.min = 0, .max = 16, .env = "MTP_NUM_HEADS",
      .help = "linear heads of the final state, for training alone, the k-th of which predicts the "
      "token k after the next (parameter-golf PR #88; published 2); the train loss that is shown is "
      "without them"});
  training("mtp_modules", c.mtp_modules, {.min = 0, .max = 2,
      .help = "the same by DeepSeek-V3's modules, a block each one after another, that share "
      "embedding and head (arXiv:2412.19437); not with mtp_heads"});
  training("mtp_weight", c.mtp_weight, {.min = 0, .max = 10, .env = "MTP_LOSS_WEIGHT",
      .help = "weight of the mean loss of the further tokens of mtp_heads or mtp_modules"});
  training("mtp_group", c.mtp_group, {.help = "optimizer of mtp_heads: muon at matrix_lr, as "
      "published, or adam at scalar_lr"});
  training("loop_from", c.loop_from, {.min = 0, .max = 1, .env = "ENABLE_LOOPING_AT",
      .help = "part of training from which blocks run model.loop_passes times; before it each runs once"});
  training("bag_inputs", c.bag_inputs, {.help = "in the part that bag_fraction says each position also "
      "reads bag_targets tokens, as the mean of their embeddings (token superposition, "
      "arXiv:2605.06546)"});
  training("bag_iso_data", c.bag_iso_data, {.help = "a step of that part reads as many tokens as any, "
      "in bag_targets times fewer positions (arXiv:2407.12665); false: as many positions"});
  training("bag_reset", c.bag_reset, {.help = "where that part ends the optimizer's state and the "
      "schedule of the learning rate begin anew (worse than going on, by AOMTS)"});
  training("seq_len_growth", c.seq_len_growth, {.env = "TRAIN_SEQ_SCHEDULE",
      .help = "sequences that grow, as \"1024@0.1,2048@0.7,3072@1\": each length up to that part of "
      "training (parameter-golf PR #2014); the last is seq_len@1; empty: seq_len throughout"});
}

template <class Config, class Visit>
void visit_optimizer_fields(Config& c, Visit&& visit) {
  const auto training = affecting(Affects::kTraining, visit);
  training("matrix_lr", c.matrix_lr, {.min = 0, .max = 10, .env = "MATRIX_LR",
      .help = "Muon learning rate of the matrices"});
  training("embed_lr", c.embed_lr, {.min = 0, .max = 10, .env = "TIED_EMBED_LR",
      .help = "AdamW learning rate of embedding tables"});
  training("scalar_lr", c.scalar_lr, {.min = 0, .max = 10, .env = "SCALAR_LR",
      .help = "AdamW learning rate of vectors, scalars and small projections"});
  training("head_lr", c.head_lr, {.min = 0, .max = 10, .env = "HEAD_LR",
      .help = "AdamW learning rate of the output head, where model.tied_head is false"});
  training("muon_momentum", c.muon_momentum, {.min = 0, .max = 1, .env = "MUON_MOMENTUM",
      .help = "Muon momentum after its warm-up"});
  training("muon_momentum_start", c.muon_momentum_start, {.min = 0, .max = 1,
      .env = "MUON_MOMENTUM_WARMUP_START", .help = "Muon momentum at step 0"});
  training("muon_momentum_warmup_steps", c.muon_momentum_warmup_steps, {.min = 0, .max = 1e9,
      .unit = "steps", .env = "MUON_MOMENTUM_WARMUP_STEPS",
      .help = "steps of the linear momentum warm-up"});
  training("newton_schulz_steps", c.newton_schulz_steps, {.min = 1, .max = 12,
      .env = "MUON_BACKEND_STEPS", .help = "Newton-Schulz iterations"});
  training("newton_schulz", c.newton_schulz, {
      .help = "coefficients: stock (3.4445, -4.7750, 2.0315), the Polar Express schedule, quintic (2, "
      "-1.5, 0.5), which converges slowly and fully, or the last steps of Turbo-Muon's schedule"});
  training("newton_schulz_scaling", c.newton_schulz_scaling, {
      .help = "what bounds a matrix before Newton-Schulz: norm, its Frobenius norm; aol, Turbo-Muon's "
      "almost-orthogonal scaling, with which four steps do for five"});
  training("muon_row_norm", c.muon_row_norm, {
      .help = "normalise the rows of the update before Newton-Schulz (MuonEq-R)"});
  training("aurora_iterations", c.aurora_iterations, {.min = 0, .max = 16,
      .help = "Aurora: orthogonalise the update of a matrix that is not square so many times, its "
      "longer side rescaled in between to equal norms; 0 switches it off, 2 is the published"});
  training("aurora_beta", c.aurora_beta, {.min = 0, .max = 1,
      .help = "Aurora: power of the rescaling"});
  training("normuon", c.normuon, {
      .help = "divide the orthogonal update by second moments: paper, of each row, to a root mean "
      "square of 0.2; modded, of each vector of the longer side, to the norm it had"});
  training("normuon_beta2", c.normuon_beta2, {.min = 0, .max = 0.99999,
      .help = "NorMuon: decay of the second moments, per step"});
  training("muon_weight_decay", c.muon_weight_decay, {.min = 0, .max = 10, .env = "MUON_WD",
      .help = "decoupled weight decay of the matrices"});
  training("cautious_weight_decay", c.cautious_weight_decay, {
      .help = "decay a weight only where the step moves it towards 0 too; of both optimizers"});
  training("weight_decay_taper_start", c.weight_decay_taper_start, {.min = 0, .max = 1,
      .env = "WD_TAPER_START_FRAC", .help = "part of the budget after which the weight decay of the "
      "matrices changes linearly; 1 for never"});
  training("weight_decay_taper_end", c.weight_decay_taper_end, {.min = 0, .max = 10,
      .env = "WD_TAPER_FINAL_MULT", .help = "what it is multiplied by at the end"});
  training("adam_weight_decay", c.adam_weight_decay, {.min = 0, .max = 10, .env = "ADAM_WD",
      .help = "decoupled weight decay of the AdamW groups"});
  training("embed_weight_decay", c.embed_weight_decay, {.min = -1, .max = 10, .env = "EMBED_WD",
      .help = "the same of embedding tables; -1: adam_weight_decay"});
  training("adam_beta1", c.adam_beta1, {.min = 0, .max = 0.99999, .env = "BETA1",
      .help = "AdamW beta1"});
  training("adam_beta2", c.adam_beta2, {.min = 0, .max = 0.99999, .env = "BETA2",
      .help = "AdamW beta2"});
  training("embed_beta1", c.embed_beta1, {.min = -1, .max = 0.99999,
      .help = "AdamW beta1 of embedding tables; -1: adam_beta1"});
  training("embed_beta2", c.embed_beta2, {.min = -1, .max = 0.99999,
      .help = "AdamW beta2 of embedding tables; -1: adam_beta2"});
  training("adam_epsilon", c.adam_epsilon, {.min = 0, .max = 1,
      .help = "AdamW epsilon, outside the square root"});
  training("grad_clip_norm", c.grad_clip_norm, {.min = 0, .max = 1e6, .env = "GRAD_CLIP_NORM",
      .help = "global L2 norm that the reduced gradient is clipped to; 0 switches clipping off"});
  training("ema_nesterov_beta", c.ema_nesterov_beta, {.min = 0, .max = 10,
      .help = "EMA-Nesterov: how far ahead along their mean step the weights of a step lie; 0 "
      "switches it off, 0.6 is the published on plain Muon"});
  training("ema_nesterov_gamma", c.ema_nesterov_gamma, {.min = 0, .max = 0.99999,
      .help = "EMA-Nesterov: decay of the mean step"});
  training("ema_nesterov_start", c.ema_nesterov_start, {.min = 0, .max = 1,
      .help = "EMA-Nesterov: part of the budget from which on it looks ahead"});
  training("ema_nesterov_end", c.ema_nesterov_end, {.min = 0, .max = 1,
      .help = "EMA-Nesterov: part of the budget up to which it does"});
}

template <class Config, class Visit>
void visit_quant_fields(Config& c, Visit&& visit) {
  const auto packing = affecting(Affects::kPacking, visit);
  packing("scales", c.scales, {.help = "how the scales are chosen: by each weight's effect on the "
      "loss, by the row's standard deviation (SDClip, or its Hessian-aware form), by a clip search "
      "(GPTQ-lite), by the row's largest weight, or three levels"});
  packing("rounding", c.rounding, {.help = "to the nearest code, or with GPTQ's error feedback"});
  packing("fill_cap", c.fill_cap, {
      .help = "widen all scales together until the artifact just fits quant.cap_bytes"});
  packing("matrix_bits", c.matrix_bits, {.min = 2, .max = 8, .unit = "bits",
      .help = "bits of matrix codes before entropy coding"});
  packing("mlp_bits", c.mlp_bits, {.min = 2, .max = 8, .unit = "bits",
      .help = "bits of the MLP's codes before entropy coding"});
  packing("embed_bits", c.embed_bits, {.min = 2, .max = 8, .unit = "bits",
      .help = "bits of embedding-table codes before entropy coding"});
  packing("matrix_clip_sigmas", c.matrix_clip_sigmas, {.min = 0.1, .max = 1000, .unit = "sigma",
      .help = "SDClip: largest code in standard deviations of the row"});
  packing("mlp_clip_sigmas", c.mlp_clip_sigmas, {.min = 0.1, .max = 1000, .unit = "sigma",
      .help = "SDClip: the same for the MLP"});
  packing("embed_clip_sigmas", c.embed_clip_sigmas, {.min = 0.1, .max = 1000, .unit = "sigma",
      .help = "SDClip: the same for embedding tables"});
  packing("hessian_lambda", c.hessian_lambda, {.min = 0, .max = 1,
      .help = "how far sdclip_hessian moves a row's scale by its importance"});
  packing("damping", c.damping, {.min = 1e-6, .max = 1,
      .help = "GPTQ: share of the mean diagonal that is added to the Hessian's"});
  packing("calibration_tokens", c.calibration_tokens, {.min = 1, .max = 1 << 28, .unit = "tokens",
      .help = "training tokens that the Hessians are measured on; their time counts as training"});
  packing("keep_fp16_elements", c.keep_fp16_elements, {.min = 0, .max = 1 << 20, .unit = "elements",
      .help = "tensors with at most this many elements are stored in fp16"});
  packing("sort_hidden", c.sort_hidden, {.help = "order each MLP's hidden units by their scales, "
      "which costs nothing and packs better"});
  packing("lqer_rank", c.lqer_rank, {.min = 0, .max = 16,
      .help = "rank of the low-rank correction (LQER); 0 switches it off"});
  packing("lqer_tensors", c.lqer_tensors, {.min = 0, .max = 1000,
      .help = "matrices that LQER corrects: those with the largest error"});
  packing("lqer_group", c.lqer_group, {.min = 1, .max = 255,
      .help = "numbers of the right factor that share a scale"});
  packing("awq_group", c.awq_group, {
      .help = "AWQ-lite: int8 for the 64 input columns that matter most"});
  packing("row_max_quantile", c.row_max_quantile, {.min = 0.5, .max = 1,
      .help = "row_max: quantile of the magnitudes of a matrix's row that the largest code stands for "
      "(the first records: 0.9999984)"});
  packing("embed_row_max_quantile", c.embed_row_max_quantile, {.min = 0.5, .max = 1,
      .help = "row_max: the same of embedding tables"});
  packing("coder", c.coder, {.help = "what codes the artifact: our own coder, the published packers "
      "(zstd at level 22, lzma's preset 9e), or auto: the smallest artifact, its code included"});
  packing("gradient_bits", c.gradient_bits, {.env = "GRAD_QUANT",
      .help = "a bit more for the tenth of the matrices with the largest squared gradient, one less for "
      "the fifth with the smallest (parameter-golf PR #332), as calibration measures it; not with scales "
      "by sensitivity, which spend bits weight by weight"});
  packing("cap_bytes", c.cap_bytes, {.min = 1, .max = 1e12, .unit = "bytes",
      .help = "largest allowed artifact, code included"});
}

template <class Config, class Visit>
void visit_record_fields(Config& c, Visit&& visit) {
  const auto shown = affecting(Affects::kShown, visit);
  shown("name", c.name, {.env = "RUN_ID", .help = "title of the record"});
  shown("author", c.author, {.help = "who submits it"});
  shown("github_id", c.github_id, {.help = "GitHub account of the author"});
  shown("blurb", c.blurb, {.help = "what is new, in a sentence or two"});
  shown("date", c.date, {.help = "YYYY-MM-DD; empty means the day the run ends"});
}
// clang-format on

// Calls visit(const char* section, const FieldInfo&, member) for every key, in the order of the
// canonical recipe. Works on Recipe and const Recipe.
template <class AnyRecipe, class Visit>
void visit_recipe_fields(AnyRecipe& recipe, Visit&& visit) {
  const auto in_section = [&visit](const char* section) {
    return [&visit, section](const FieldInfo& info, auto& member) { visit(section, info, member); };
  };
  visit_track_fields(recipe.track, in_section("track"));
  visit_data_fields(recipe.data, in_section("data"));
  visit_model_fields(recipe.model, in_section("model"));
  visit_train_fields(recipe.train, in_section("train"));
  visit_optimizer_fields(recipe.optimizer, in_section("optimizer"));
  visit_quant_fields(recipe.quant, in_section("quant"));
  visit_eval_fields(recipe.eval, in_section("eval"));
  visit_ttt_fields(recipe.ttt, in_section("ttt"));
  visit_mix_fields(recipe.mix, in_section("mix"));
  visit_record_fields(recipe.record, in_section("record"));
}

}  // namespace pg
