// Recipe keys of test-time training: learning from the text that has been scored already.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

struct TttConfig {
  std::string kind = "none";
  double clip_norm = 1.0;
  // sgd and phased
  int64_t chunk_tokens = 4096;
  int64_t epochs = 1;
  double lr = 0.01;
  double momentum = 0.9;
  int64_t batch_tokens = 2048;
  int64_t frozen_blocks = 0;
  int64_t phases = 3;
  // lora
  int64_t lora_rank = 8;
  double lora_alpha = 16.0;
  std::string lora_targets = "q,v,out,up,down,head";
  int64_t lora_chunk_tokens = 64;
  double lora_lr = 0.002;
  double lora_beta2 = 0.99;
  double lora_weight_decay = 0.0;
  std::string lora_reset = "warm";
};

template <class Config, class Visit>
void visit_ttt_fields(Config& c, Visit&& visit) {
  visit(
      FieldInfo{.key = "kind",
                .help = "none; sgd: all weights after each chunk; phased: all weights on all text "
                        "so far, phases times; lora: adapters after each chunk",
                .choices = "none|sgd|phased|lora"},
      c.kind);
  visit(FieldInfo{.key = "clip_norm",
                  .help = "the gradient of a step is scaled down to this norm; 0: never",
                  .min = 0,
                  .max = 1e6},
        c.clip_norm);
  visit(FieldInfo{.key = "chunk_tokens",
                  .help = "sgd, phased: targets scored between two trainings",
                  .unit = "tokens",
                  .environment = "TTT_CHUNK_TOKENS",
                  .min = 1,
                  .max = 1 << 30},
        c.chunk_tokens);
  visit(FieldInfo{.key = "epochs",
                  .help = "sgd, phased: passes over a chunk (all text so far)",
                  .environment = "TTT_EPOCHS",
                  .min = 1,
                  .max = 1000},
        c.epochs);
  visit(FieldInfo{.key = "lr",
                  .help = "sgd, phased: learning rate at its start, 0 at the end of its cosine",
                  .environment = "TTT_LR",
                  .min = 0,
                  .max = 100},
        c.lr);
  visit(FieldInfo{.key = "momentum",
                  .help = "sgd, phased: momentum, kept from chunk to chunk",
                  .environment = "TTT_MOMENTUM",
                  .min = 0,
                  .max = 1},
        c.momentum);
  visit(FieldInfo{.key = "batch_tokens",
                  .help = "sgd, phased: tokens of a step, in rows of eval.context",
                  .unit = "tokens",
                  .min = 1,
                  .max = 1 << 24},
        c.batch_tokens);
  visit(FieldInfo{.key = "frozen_blocks",
                  .help = "sgd, phased: blocks, counted from the first, that never change",
                  .environment = "TTT_FREEZE_BLOCKS",
                  .min = 0,
                  .max = 128},
        c.frozen_blocks);
  visit(FieldInfo{.key = "phases",
                  .help = "phased: trainings, evenly spread over the stream",
                  .min = 1,
                  .max = 1000},
        c.phases);
  visit(FieldInfo{.key = "lora_rank", .help = "lora: rank", .min = 1, .max = 4096}, c.lora_rank);
  visit(FieldInfo{.key = "lora_alpha",
                  .help = "lora: an adapter's output counts alpha / rank times",
                  .min = 0.001,
                  .max = 1e6},
        c.lora_alpha);
  visit(FieldInfo{.key = "lora_targets",
                  .help = "lora: adapted matrices, some of q,k,v,out,up,down,head"},
        c.lora_targets);
  visit(FieldInfo{.key = "lora_chunk_tokens",
                  .help = "lora: targets of a step; at most eval.context",
                  .unit = "tokens",
                  .min = 1,
                  .max = 1 << 20},
        c.lora_chunk_tokens);
  visit(FieldInfo{.key = "lora_lr", .help = "lora: AdamW learning rate", .min = 0, .max = 10},
        c.lora_lr);
  visit(FieldInfo{.key = "lora_beta2",
                  .help = "lora: AdamW decay of the second moment; there is no first",
                  .min = 0,
                  .max = 0.999999},
        c.lora_beta2);
  visit(FieldInfo{.key = "lora_weight_decay", .help = "lora: AdamW decay", .min = 0, .max = 1000},
        c.lora_weight_decay);
  visit(
      FieldInfo{.key = "lora_reset",
                .help = "lora: at a document's start nothing, B and AdamW's state (A stays warm), "
                        "or the adapters whole",
                .choices = "none|warm|full"},
      c.lora_reset);
}

}  // namespace pg
