// Recipe keys of test-time training: learning from the text that has been scored already.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {
// <parts>
struct ByteTable;
// </parts>
// <train_gpt>
class WindowShare;
// </train_gpt>

// clang-format off
enum class TttKind : uint8_t { kNone, kSgd, kPhased, kLora
  // <parts>
  , kPhasedLora
  // </parts>
};
template <>
inline constexpr auto kChoiceNames<TttKind> = name_choices("none", "sgd", "phased", "lora"
  // <parts>
  , "phased_lora"
  // </parts>
);
// clang-format on

enum class LoraReset : uint8_t { kNone, kWarm, kFull };
template <>
inline constexpr auto kChoiceNames<LoraReset> = name_choices("none", "warm", "full");

// <parts>
enum class TttOptimizer : uint8_t { kSgd, kAdamw };
template <>
inline constexpr auto kChoiceNames<TttOptimizer> = name_choices("sgd", "adamw");
// </parts>

struct TttConfig {
  TttKind kind = TttKind::kNone;
  double clip_norm = 1.0;
  // sgd and phased
  int64_t chunk_tokens = 32768;
  int64_t epochs = 3;
  double lr = 0.002;
  double momentum = 0.9;
  int64_t batch_tokens = 2048;
  int64_t frozen_blocks = 0;
  int64_t phases = 3;
  int64_t gradient_leaves = 1;
  // lora
  int64_t lora_rank = 8;
  double lora_alpha = 16.0;
  std::string lora_targets = "q,v,out,up,down,head";
  int64_t lora_chunk_tokens = 64;
  double lora_lr = 0.01;
  double lora_beta2 = 0.99;
  double lora_weight_decay = 0.0;
  LoraReset lora_reset = LoraReset::kWarm;
  // <parts>
  TttOptimizer optimizer = TttOptimizer::kSgd;
  double polyak_decay = 0.0;
  int64_t lora_epochs = 1;
  bool byte_weighted = false;
  double adaptive_lr_max = 1.0;
  bool frozen_scales = true;
  double scales_fraction = 0.0;
  bool cosine = true;
  bool by_document = false;
  int64_t phase_documents = 0;
  bool lora_per_run = false;
  bool lora_clipped = true;
  int64_t lora_queues = 1;
  const ByteTable* bytes = nullptr;  // no key: the tokenizer's, from whoever scores; outlives this
  // </parts>
  // <train_gpt>
  int64_t documents_at_once = 1;  // no key: rows of a batch that a rank scores side by side
  WindowShare* share = nullptr;   // no key: the ranks that train together; null: this one alone
  // </train_gpt>
};

// clang-format off
// <parts>
template <class Config, class Visit>
void visit_ttt_part_fields(Config& c, Visit&& visit) {
  const auto scoring = affecting(Affects::kScoring, visit);
  scoring("optimizer", c.optimizer, {.help = "sgd, phased: sgd with momentum, or adamw (betas 0.9, 0.999, no "
      "decay; PR #1033) at the same rate and cosine"});
  scoring("polyak_decay", c.polyak_decay, {.min = 0, .max = 0.99999999,
      .help = "sgd, phased: text is scored by the mean of the weights of all steps, decaying by this each; 0: by the last"});
  scoring("lora_epochs", c.lora_epochs, {.min = 1, .max = 1000,
      .help = "lora: steps on each piece of a scored chunk"});
  scoring("byte_weighted", c.byte_weighted, {.env = "BYTE_WEIGHTED_TTT",
      .help = "a target's loss counts by its bytes: a step's loss is a byte's, not a token's (PR #1033)"});
  scoring("adaptive_lr_max", c.adaptive_lr_max, {.min = 1, .max = 1000, .env = "ADAPTIVE_LR_MAX",
      .help = "sgd: beside its cosine the rate grows along the first 30% of the chunks to so many "
      "times itself (PR #1033: 3)"});
  scoring("frozen_scales", c.frozen_scales, {
      .help = "sgd, phased: frozen blocks keep their small parameters too; false: gains, scales and "
      "mixes of all blocks change (PR #1033)"});
  scoring("scales_fraction", c.scales_fraction, {.min = 0, .max = 1,
      .help = "sgd, phased: while at most this part of the text is scored, the small parameters alone "
      "are trained; then all that is not frozen, by an optimizer that starts anew"});
  scoring("cosine", c.cosine, {
      .help = "sgd, phased: the rate falls along a cosine to 0; false: it stays (PR #398)"});
  scoring("by_document", c.by_document, {
      .help = "lora, phased_lora: chunks begin and end with documents (PR #1530); with "
      "eval.windows = document and a lora_reset"});
  scoring("phase_documents", c.phase_documents, {.min = 0, .max = 1 << 24,
      .env = "PHASED_TTT_PREFIX_DOCS", .help = "phased, phased_lora: the phases come when even parts of so many documents are scored "
      "(PR #1626); 0: of the stream"});
  scoring("lora_per_run", c.lora_per_run, {
      .help = "lora: each run of a looped block has adapters of its own (PR #1530)"});
  scoring("lora_clipped", c.lora_clipped, {
      .help = "lora: clip_norm holds for adapters too; false: for the phases alone (PR #1530)"});
  scoring("lora_queues", c.lora_queues, {.min = 1, .max = 1 << 20, .help = "lora: by_document with "
      "lora_reset = warm: a document takes A as the document so many before it left it (PR #1767: 64 on each "
      "of 8 GPUs), so that as many may be scored side by side"});
}
// </parts>
template <class Config, class Visit>
void visit_ttt_fields(Config& c, Visit&& visit) {
  const auto scoring = affecting(Affects::kScoring, visit);
  scoring("kind", c.kind, {.help = "none; sgd: all weights after each chunk; phased: all weights "
      "on all text so far, phases times; lora: adapters after each chunk; phased_lora: both, adapters "
      "anew behind each phase"});
  scoring("clip_norm", c.clip_norm, {.min = 0, .max = 1e6, .env = "TTT_GRAD_CLIP",
      .help = "the gradient of a step is scaled down to this norm; 0: never"});
  scoring("chunk_tokens", c.chunk_tokens, {.min = 1, .max = 1 << 30, .unit = "tokens",
      .env = "TTT_CHUNK_TOKENS", .help = "sgd, phased: targets scored between two trainings"});
  scoring("epochs", c.epochs, {.min = 1, .max = 1000, .env = "TTT_EPOCHS",
      .help = "sgd, phased: passes over a chunk (all text so far)"});
  scoring("lr", c.lr, {.min = 0, .max = 100, .env = "TTT_LR",
      .help = "sgd, phased: learning rate at its start, 0 at the end of its cosine"});
  scoring("momentum", c.momentum, {.min = 0, .max = 1, .env = "TTT_MOMENTUM",
      .help = "sgd, phased: momentum, kept from chunk to chunk"});
  scoring("batch_tokens", c.batch_tokens, {.min = 1, .max = 1 << 24, .unit = "tokens",
      .help = "sgd, phased: tokens of a step, in rows of eval.context"});
  scoring("frozen_blocks", c.frozen_blocks, {.min = 0, .max = 128, .env = "TTT_FREEZE_BLOCKS",
      .help = "sgd, phased: blocks, counted from the first, that never change"});
  scoring("phases", c.phases, {.min = 1, .max = 1000, .env = "PHASED_TTT_NUM_PHASES",
      .help = "phased: trainings, evenly spread over the stream"});
  scoring("gradient_leaves", c.gradient_leaves, {.min = 1, .max = 1024, .help = "sgd, phased: "
      "parts into which a step's rows are cut, equally many rows each, a power of two: as many ranks may share "
      "a step, whose sum over parts is a binary tree, so that any number of them gives the same bits"});
  scoring("lora_rank", c.lora_rank, {.min = 1, .max = 4096, .env = "TTT_LORA_RANK",
      .help = "lora: rank"});
  scoring("lora_alpha", c.lora_alpha, {.min = 0.001, .max = 1e6, .env = "TTT_LORA_ALPHA",
      .help = "lora: an adapter's output counts alpha / rank times"});
  scoring("lora_targets", c.lora_targets, {
      .help = "lora: adapted matrices, some of q,k,v,out,up,down,head; attn and mlp: beside those "
      "branches, from their normed input (PR #1530)"});
  scoring("lora_chunk_tokens", c.lora_chunk_tokens, {.min = 1, .max = 1 << 20, .unit = "tokens",
      .env = "TTT_CHUNK_SIZE", .help = "lora: targets of a step; at most eval.context"});
  scoring("lora_lr", c.lora_lr, {.min = 0, .max = 10, .env = "TTT_LORA_LR",
      .help = "lora: AdamW learning rate"});
  scoring("lora_beta2", c.lora_beta2, {.min = 0, .max = 0.999999, .env = "TTT_BETA2",
      .help = "lora: AdamW decay of the second moment; there is no first"});
  scoring("lora_weight_decay", c.lora_weight_decay, {.min = 0, .max = 1000,
      .env = "TTT_WEIGHT_DECAY", .help = "lora: AdamW decay"});
  scoring("lora_reset", c.lora_reset, {.help = "lora: at a document's start nothing, B and AdamW's "
      "state (A stays warm), or the adapters whole"});
  // <parts>
  visit_ttt_part_fields(c, visit);
  // </parts>
}
// clang-format on

}  // namespace pg
