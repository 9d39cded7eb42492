// Recipe keys of test-time training: learning from the text that has been scored already.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

enum class TttKind : uint8_t { kNone, kSgd, kPhased, kLora };
template <>
inline constexpr auto kChoiceNames<TttKind> = name_choices("none", "sgd", "phased", "lora");

enum class LoraReset : uint8_t { kNone, kWarm, kFull };
template <>
inline constexpr auto kChoiceNames<LoraReset> = name_choices("none", "warm", "full");

struct TttConfig {
  TttKind kind = TttKind::kNone;
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
  LoraReset lora_reset = LoraReset::kWarm;
};

}  // namespace pg
