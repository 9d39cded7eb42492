// Not part of the counted code: what an artifact names has passed here.
#include "eval/check_scoring.h"

#include <fmt/format.h>

#include "eval/mix/make_mixer.h"
#include "src/base/error.h"

namespace pg {
namespace {

void check_ttt(const TttConfig& ttt) {
  if (ttt.kind == TttKind::kNone) return;
  const bool trains_weights = ttt.kind != TttKind::kLora;
  if (!ttt.frozen_scales && !(trains_weights && ttt.frozen_blocks > 0)) {
    throw Error(fmt::format(
        "ttt.frozen_scales is false, but ttt.kind = \"{}\" freezes {} blocks: set "
        "ttt.frozen_blocks with a kind that trains the weights, or ttt.frozen_scales = true",
        choice_name(ttt.kind), trains_weights ? ttt.frozen_blocks : 0));
  }
  if (ttt.scales_fraction > 0 && !trains_weights) {
    throw Error(
        fmt::format("ttt.scales_fraction is \"{}\", but ttt.kind = \"lora\" trains adapters alone; "
                    "set a kind that trains the weights, or ttt.scales_fraction = 0",
                    ttt.scales_fraction));
  }
  if (!ttt.cosine && !trains_weights) {
    throw Error(
        "ttt.cosine is false, but the rate of ttt.kind = \"lora\" is constant anyway; set "
        "ttt.cosine = true");
  }
  if (ttt.adaptive_lr_max > 1 && ttt.kind != TttKind::kSgd) {
    throw Error(fmt::format(
        "ttt.adaptive_lr_max is \"{}\", but the rate grows along the chunks of ttt.kind = \"sgd\" "
        "alone and ttt.kind is \"{}\"; set one of them, or ttt.adaptive_lr_max = 1",
        ttt.adaptive_lr_max, choice_name(ttt.kind)));
  }
}

}  // namespace

void check_scoring(const ScoringConfig& config) {
  check_ttt(config.ttt);
  if (config.mix.kind == MixKind::kPpm && config.mix.ppm_weight == 0) {
    throw Error(
        "mix.ppm_weight is 0, which leaves the network alone; give it a weight, or set mix.kind = "
        "\"none\"");
  }
  check_mix_config(config.mix);
}

}  // namespace pg
