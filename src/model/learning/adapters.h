// Low-rank adapters and frozen parameters: what test-time training makes of a model's parameter
// list (LoRA: Hu et al. 2021).
//
// An adapted linear map is y = x wT + (x aT) bT, a [rank, in], b [out, rank]. A plan applies the
// adapters that its Weights hold, so scoring and training need no word about them. The published
// factor alpha / rank is part of b: whoever trains b multiplies its learning rate by it.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

struct AdapterConfig {
  int64_t rank = 8;
  std::vector<ParamRole> targets;
  // <parts>
  bool per_run = false;  // each run of a looped block has adapters of its own
  // </parts>
  // <train_gpt>
  int64_t slots =
      1;  // above 1: of a plan of so many rows each has adapters, and a mean loss, of its own
  // </train_gpt>
};

// "q,v,head" and so on. q, k, v, out, up, down: those matrices of every block, up with its gate
// where it has one; head: the output head. attn, mlp: a map [dim, dim] beside those branches, from
// their normed input. Throws Error naming an unknown or repeated target.
std::vector<ParamRole> parse_adapter_targets(std::string_view text);

// The adapters' parameters, "blocks.3.attn.q.lora_a" and so on; they stand behind the model's own.
// a starts uniform in +-1/sqrt(in), b at 0: then the adapted model is the model, bit for bit.
std::vector<ParamSpec> list_adapter_params(const ModelConfig& model, const AdapterConfig& adapters);

inline void freeze_all(std::vector<ParamSpec>& params) {
  for (ParamSpec& param : params) param.trainable = false;
}
// Every parameter of the first `count` blocks.
void freeze_blocks(std::vector<ParamSpec>& params, int64_t count);

}  // namespace pg
