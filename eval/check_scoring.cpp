// Not part of the counted code: what an artifact names has passed here.
#include "eval/check_scoring.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "eval/mix/make_mixer.h"
#include "src/base/error.h"

namespace pg {
namespace {

void check_ttt(const TttConfig& ttt, int64_t context) {
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
  const int64_t leaves = ttt.gradient_leaves,
                rows = std::max<int64_t>(ttt.batch_tokens / context, 1);
  if (leaves > 1 && (!trains_weights || !std::has_single_bit(static_cast<uint64_t>(leaves)) ||
                     rows % leaves != 0)) {
    throw Error(fmt::format(
        "ttt.gradient_leaves \"{}\" does not cut a step: ttt.kind = \"{}\", {} rows of "
        "eval.context in "
        "ttt.batch_tokens; give a power of two that divides the rows of a kind that trains the "
        "weights, or 1",
        leaves, choice_name(ttt.kind), rows));
  }
  if (ttt.adaptive_lr_max > 1 && ttt.kind != TttKind::kSgd) {
    throw Error(fmt::format(
        "ttt.adaptive_lr_max is \"{}\", but the rate grows along the chunks of ttt.kind = \"sgd\" "
        "alone and ttt.kind is \"{}\"; set one of them, or ttt.adaptive_lr_max = 1",
        ttt.adaptive_lr_max, choice_name(ttt.kind)));
  }
}

// Of keys that mean documents.
void check_documents(const TttConfig& ttt, const EvalConfig& eval) {
  const bool has_adapters = ttt.kind == TttKind::kLora || ttt.kind == TttKind::kPhasedLora;
  const bool has_phases = ttt.kind == TttKind::kPhased || ttt.kind == TttKind::kPhasedLora;
  const char* const kind = choice_name(ttt.kind).data();
  if (ttt.by_document && !has_adapters) {
    throw Error(
        fmt::format("ttt.by_document is true, but ttt.kind = \"{}\" has no adapters that begin "
                    "with a document; set ttt.kind = \"lora\" or \"phased_lora\", or "
                    "ttt.by_document = false",
                    kind));
  }
  if (ttt.by_document && eval.windows != Windows::kDocument) {
    throw Error(
        "ttt.by_document is true, but eval.windows = \"stream\" lets a window reach back into the "
        "document before; set eval.windows = \"document\", or ttt.by_document = false");
  }
  if (ttt.by_document && ttt.lora_reset == LoraReset::kNone) {
    throw Error(
        "ttt.by_document is true, but ttt.lora_reset = \"none\" keeps adapters from document to "
        "document; set ttt.lora_reset = \"warm\" or \"full\", or ttt.by_document = false");
  }
  if (ttt.lora_queues > 1 && !(ttt.by_document && ttt.lora_reset == LoraReset::kWarm)) {
    throw Error(fmt::format(
        "ttt.lora_queues is \"{}\", but a document takes nothing up from one before it; "
        "set ttt.by_document = true with ttt.lora_reset = \"warm\", or ttt.lora_queues "
        "= 1",
        ttt.lora_queues));
  }
  if (ttt.phase_documents > 0 && !has_phases) {
    throw Error(
        fmt::format("ttt.phase_documents is \"{}\", but ttt.kind = \"{}\" has no phases; set "
                    "ttt.kind = \"phased\" or \"phased_lora\", or ttt.phase_documents = 0",
                    ttt.phase_documents, kind));
  }
  if (ttt.phase_documents > 0 && ttt.phase_documents < ttt.phases) {
    throw Error(
        fmt::format("ttt.phase_documents is \"{}\", fewer than the {} of ttt.phases, so that a "
                    "phase would have no document; give at least {}, or fewer phases",
                    ttt.phase_documents, ttt.phases, ttt.phases));
  }
  if ((ttt.lora_per_run || !ttt.lora_clipped) && !has_adapters) {
    throw Error(
        fmt::format("ttt.lora_per_run is {} and ttt.lora_clipped {}, but ttt.kind = \"{}\" has no "
                    "adapters; set ttt.kind = \"lora\" or \"phased_lora\", or false and true",
                    ttt.lora_per_run, ttt.lora_clipped, kind));
  }
}

}  // namespace

void check_scoring(const ScoringConfig& config) {
  check_ttt(config.ttt, config.eval.context);
  if (config.ttt.kind != TttKind::kNone) check_documents(config.ttt, config.eval);
  if (config.mix.kind == MixKind::kPpm && config.mix.ppm_weight == 0) {
    throw Error(
        "mix.ppm_weight is 0, which leaves the network alone; give it a weight, or set mix.kind = "
        "\"none\"");
  }
  check_mix_config(config.mix);
}

}  // namespace pg
