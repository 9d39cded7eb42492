#include "harness/recipe/idle_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include "harness/recipe/recipe_changes.h"
#include "src/model/model.h"

namespace pg {
namespace {

struct Rule {
  std::string_view keys;  // of a section, "a b c"; one that ends in * stands for all that begin so
  bool (*counts)(const Recipe&);
  const char* until;
};

bool is_one_of(TttKind kind, std::initializer_list<TttKind> kinds) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}
bool trains_adapters(const Recipe& r) {
  return is_one_of(r.ttt.kind, {TttKind::kLora, TttKind::kPhasedLora});
}
bool trains_weights(const Recipe& r) {
  return is_one_of(r.ttt.kind, {TttKind::kSgd, TttKind::kPhased, TttKind::kPhasedLora});
}
bool has_phases(const Recipe& r) {
  return is_one_of(r.ttt.kind, {TttKind::kPhased, TttKind::kPhasedLora});
}
bool counts_ngrams(const Recipe& r) {
  return r.mix.kind != MixKind::kNone && r.mix.kind != MixKind::kTilt;
}
bool has_bags(const Recipe& r) { return r.train.bag_targets > 1; }
bool has_loop(const Recipe& r) { return r.model.loop_passes > 1; }

// clang-format off
constexpr auto kRules = std::to_array<Rule>({
    {"model.bigram_dim model.trigram model.bigram_projection",
     [](const Recipe& r) { return r.model.bigram_buckets > 0; }, "model.bigram_buckets is above 0"},
    {"model.value_embed_layers model.value_embed_at model.value_projection",
     [](const Recipe& r) { return r.model.value_embed_dim > 0; }, "model.value_embed_dim is above 0"},
    {"model.softcap_shift model.softcap_width",
     [](const Recipe& r) { return r.model.softcap_form == SoftcapForm::kAsymmetric; },
     "model.softcap_form is \"asymmetric\""},
    {"model.logit_softcap", [](const Recipe& r) { return r.model.softcap_form != SoftcapForm::kNone; },
     "model.softcap_form is another than \"none\""},
    {"model.token_smear_width model.bos_id", [](const Recipe& r) { return r.model.token_smear; },
     "model.token_smear is true"},
    {"model.skip_gates", [](const Recipe& r) { return r.model.unet_skips; }, "model.unet_skips is true"},
    {"model.mudd_local_at model.mudd_value_at", [](const Recipe& r) { return !r.model.mudd_at.empty(); },
     "model.mudd_at names runs"},
    {"model.parallel_from", [](const Recipe& r) { return r.model.parallel_residual != ParallelResidual::kNone; },
     "model.parallel_residual is another than \"none\""},
    {"model.attention_gate_width",
     [](const Recipe& r) { return attention_gate_width(r.model) > 0 && r.model.attention_gate != AttentionGate::kGated; },
     "model.attention_gate is \"output\" or \"sparse\""},
    {"model.attention_gate_scale", [](const Recipe& r) { return r.model.attention_gate == AttentionGate::kSparse; },
     "model.attention_gate is \"sparse\""},
    {"model.loop_first model.loop_last train.loop_from", has_loop, "model.loop_passes is above 1"},
    {"train.bag_fraction train.bag_weights train.bag_inputs train.bag_reset train.bag_iso_data", has_bags,
     "train.bag_targets is above 1"},
    {"train.future_weight train.future_until", [](const Recipe& r) { return r.train.future_targets > 1; },
     "train.future_targets is above 1"},
    {"train.mtp_weight train.mtp_group", [](const Recipe& r) { return r.train.mtp_heads + r.train.mtp_modules > 0; },
     "train.mtp_heads or train.mtp_modules is above 0"},
    {"train.lawa_*", [](const Recipe& r) { return r.train.average == Average::kLawa; }, "train.average is \"lawa\""},
    {"train.held_out_tokens", [](const Recipe& r) { return r.train.average == Average::kBest; },
     "train.average is \"best\""},
    {"train.reserve_s", [](const Recipe& r) { return r.train.wallclock_s > 0; }, "train.wallclock_s is above 0"},
    {"train.warmdown_steps", [](const Recipe& r) { return r.train.warmdown_form == WarmdownForm::kSteps; },
     "train.warmdown_form is \"steps\""},
    {"train.warmdown_fraction", [](const Recipe& r) { return r.train.warmdown_form == WarmdownForm::kFraction; },
     "train.warmdown_form is \"fraction\""},
    {"optimizer.head_lr", [](const Recipe& r) { return !r.model.tied_head; }, "model.tied_head is false"},
    {"optimizer.aurora_beta", [](const Recipe& r) { return r.optimizer.aurora_iterations > 0; },
     "optimizer.aurora_iterations is above 0"},
    {"optimizer.normuon_beta2", [](const Recipe& r) { return r.optimizer.normuon != NorMuon::kOff; },
     "optimizer.normuon is another than \"off\""},
    {"optimizer.ema_nesterov_gamma optimizer.ema_nesterov_start optimizer.ema_nesterov_end",
     [](const Recipe& r) { return r.optimizer.ema_nesterov_beta > 0; }, "optimizer.ema_nesterov_beta is above 0"},
    {"optimizer.muon_momentum_start", [](const Recipe& r) { return r.optimizer.muon_momentum_warmup_steps > 0; },
     "optimizer.muon_momentum_warmup_steps is above 0"},
    {"eval.exact_share", [](const Recipe& r) { return r.eval.wallclock_s > 0; }, "eval.wallclock_s is above 0"},
    {"ttt.lora_* ttt.by_document", trains_adapters, "ttt.kind is \"lora\" or \"phased_lora\""},
    {"ttt.phases ttt.phase_documents", has_phases, "ttt.kind is \"phased\" or \"phased_lora\""},
    {"ttt.adaptive_lr_max", [](const Recipe& r) { return r.ttt.kind == TttKind::kSgd; }, "ttt.kind is \"sgd\""},
    {"ttt.clip_norm ttt.byte_weighted", [](const Recipe& r) { return r.ttt.kind != TttKind::kNone; },
     "ttt.kind is another than \"none\", or eval --diagnose-pretraining asks for it"},
    {"ttt.chunk_tokens ttt.epochs ttt.lr ttt.momentum ttt.batch_tokens ttt.frozen_blocks ttt.frozen_scales "
     "ttt.optimizer ttt.polyak_decay ttt.scales_fraction ttt.cosine ttt.gradient_leaves", trains_weights,
     "ttt.kind is \"sgd\", \"phased\" or \"phased_lora\", or eval --diagnose-pretraining asks for it"},
    {"mix.linear_*", [](const Recipe& r) { return r.mix.kind == MixKind::kLinear; }, "mix.kind is \"linear\""},
    {"mix.tilt_*", [](const Recipe& r) { return r.mix.kind == MixKind::kTilt; }, "mix.kind is \"tilt\""},
    {"mix.cascade_*", [](const Recipe& r) { return r.mix.kind == MixKind::kCascade; }, "mix.kind is \"cascade\""},
    {"mix.ppm_weight", [](const Recipe& r) { return r.mix.kind == MixKind::kPpm; }, "mix.kind is \"ppm\""},
    {"mix.learn_rate", [](const Recipe& r) { return r.mix.kind == MixKind::kLogit; }, "mix.kind is \"logit\""},
    {"mix.match_length", [](const Recipe& r) { return r.mix.kind == MixKind::kLinear || r.mix.kind == MixKind::kLogit; },
     "mix.kind is \"linear\" or \"logit\""},
    {"mix.min_order mix.max_order", counts_ngrams, "mix.kind is another than \"none\" and \"tilt\""},
});
// clang-format on

bool names(std::string_view keys, std::string_view key) {
  while (!keys.empty()) {
    const size_t space = std::min(keys.find(' '), keys.size());
    std::string_view name = keys.substr(0, space);
    const bool is_prefix = name.ends_with('*');
    if (is_prefix) name.remove_suffix(1);
    if (is_prefix ? key.starts_with(name) : key == name) return true;
    keys.remove_prefix(std::min(space + 1, keys.size()));
  }
  return false;
}

bool is_off(std::string_view value) {
  constexpr std::array<std::string_view, 4> kOff = {"0", "0.0", "false", "\"\""};
  return std::find(kOff.begin(), kOff.end(), value) != kOff.end();
}

}  // namespace

std::vector<IdleKey> find_idle_keys(const Recipe& recipe) {
  std::vector<IdleKey> idle;
  for (const KeyChange& change : list_changes(recipe, Recipe{})) {
    if (is_off(change.value)) continue;
    const std::string key = change.section + "." + change.key;
    for (const Rule& rule : kRules) {
      if (!names(rule.keys, key) || rule.counts(recipe)) continue;
      idle.push_back({key, change.value, rule.until});
    }
  }
  return idle;
}

std::string IdleKey::sentence() const {
  return fmt::format("{} = {} changes nothing until {}", key, value, until);
}

}  // namespace pg
