#include "harness/recipe/foreign_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>

#include "harness/recipe/config_fields.h"
#include "src/base/error.h"
#include "src/text/nearest_name.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

using enum ForeignVariable::Harmless;

// clang-format off
constexpr auto kVariables = std::to_array<ForeignVariable>({
    {"LATE_QAT", kOff, "late quantisation-aware training is train.late_qat_lr"},
    {"NUM_LOOPS", kOff, "blocks run model.loop_passes times in all, which is NUM_LOOPS + 1"},
    {"PARALLEL_FINAL_LANE", kOff, "the last norm reads the mean of the lanes of model.parallel_residual"},
    {"SPARSE_ATTN_GATE_ENABLED", kOff, "gates of attention's heads are model.attention_gate"},
    {"GATED_ATTN_ENABLED", kOff, "gates of attention's heads are model.attention_gate"},
    {"ATTN_OUT_GATE_ENABLED", kOff, "gates of attention's heads are model.attention_gate"},
    {"GATE_WINDOW", kNothing,
     "channels that gates read are model.attention_gate_width and model.token_smear_width"},
    {"DATA_PATH", kNothing, "the data are data.train_shards and data.val_shards"},
    {"VAL_BYTES_FILES", kNothing, "byte side files stand beside data.val_shards"},
    {"EVAL_INCLUDE_TAIL", kOn, "every token of data.val_shards is scored"},
    {"MLP_MULT", kNothing, "the MLP's width is model.mlp_hidden"},
    {"VE_ENABLED", kNothing, "the value embedding's width is model.value_embed_dim, 0 for none"},
    {"EMA_ENABLED", kNothing, "the average of the weights is train.average"},
    {"SWA_ENABLED", kOff, "the average of the weights is train.average"},
    {"LAWA_ENABLED", kOff, "the average of the weights is train.average"},
    {"FORCE_STOP_STEP", kOff, "the last step is train.max_steps"},
    {"EMBED_BITS", kNothing, "the bits of embedding tables are quant.embed_bits"},
    {"EMBED_CLIP", kNothing, "the clip of embedding tables is quant.embed_clip_sigmas"},
    {"MLP_CLIP", kNothing, "the clip of the MLP is quant.mlp_clip_sigmas"},
    {"TTT_ENABLED", kOff, "test-time training is ttt.kind"},
    {"TTT_BATCH_SEQS", kNothing, "the tokens of a test-time training step are ttt.batch_tokens"},
    {"TRAIN_SEQ_SCHEDULE_MODE", kNothing,
     "train.seq_len_growth goes by the clock where train.wallclock_s is given, else by steps"},
    {"SEQ_CHANGE_WARMUP_STEPS", kOff, "a longer train.seq_len_growth begins at the full rate"},
    {"TTT_BATCH_SIZE", kNothing,
     "documents side by side are eval.batch_tokens / eval.context, with ttt.lora_reset = full or "
     "ttt.lora_queues"},
    {"TTT_EVAL_SEQ_LEN", kNothing, "the context of test-time training is eval.context"},
    {"TTT_BETA1", kOff, "adapters have no first moment"},
    {"TTT_WARM_START_A", kNothing, "what a document leaves to the next is ttt.lora_reset"},
    {"TTT_Q_LORA", kNothing, "the adapted matrices are ttt.lora_targets"},
    {"TTT_K_LORA", kNothing, "the adapted matrices are ttt.lora_targets"},
    {"TTT_V_LORA", kNothing, "the adapted matrices are ttt.lora_targets"},
    {"TTT_O_LORA", kNothing, "an adapter beside attention is attn of ttt.lora_targets"},
    {"TTT_MLP_LORA", kNothing, "an adapter beside the MLP is mlp of ttt.lora_targets"},
    {"PHASED_TTT_ENABLED", kOff, "adapters with phases are ttt.kind"},
    {"GLOBAL_TTT_LR", kNothing, "the rate of a phase is ttt.lr"},
    {"GLOBAL_TTT_EPOCHS", kNothing, "the passes of a phase are ttt.epochs"},
    {"GLOBAL_TTT_CHUNK_TOKENS", kNothing, "the chunks of a phase are ttt.chunk_tokens"},
    {"GLOBAL_TTT_BATCH_SEQS", kNothing, "the tokens of a step of a phase are ttt.batch_tokens"},
    {"GLOBAL_TTT_MOMENTUM", kNothing, "the momentum of a phase is ttt.momentum"},
    {"ADAPTIVE_LR", kOff, "the growth of the test-time rate is ttt.adaptive_lr_max, 1 for none"},
    {"NGRAM_ORDER", kOff, "the n-grams mixed in are mix.kind, mix.min_order and mix.max_order"},
    {"ALPHA_BASE", kNothing, "the least weight of n-grams is mix.linear_base"},
    {"ALPHA_RANGE", kNothing, "the range of the n-grams' weight is mix.linear_range"},
    {"ALPHA_SLOPE", kNothing, "the slope of the n-grams' weight is mix.linear_slope"},
    {"ALPHA_CENTER", kNothing, "the centre of the n-grams' weight is mix.linear_centre_nats"},
    // These change no number there either.
    {"WORLD_SIZE", kAnything, "torchrun's variables are read where ranks are made"},
    {"RANK", kAnything, "torchrun's variables are read where ranks are made"},
    {"LOCAL_RANK", kAnything, "torchrun's variables are read where ranks are made"},
    {"MASTER_ADDR", kAnything, "ranks of one machine need no address"},
    {"MASTER_PORT", kAnything, "ranks of one machine need no address"},
    {"WARMUP_STEPS", kAnything, "steps that are undone before training warm up a compiler"},
    {"VAL_BATCH_SIZE", kAnything, "validation gives the same number in any batch"},
    {"EMBED_LR", kAnything, "the rate of a tied embedding is optimizer.embed_lr"},
    {"MUON_BETA2", kAnything, "the public scripts read it and do not use it"},
    {"ROPE_TRAIN_SEQ_LEN", kAnything, "the public scripts read it and do not use it"},
    {"MATRIX_LR_EARLY", kAnything, "the public scripts read it and do not use it"},
});
// clang-format on

// -1: off, 1: on, 0: neither.
int read_switch(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* off : {"", "false", "no", "off", "none"}) {
    if (text == off) return -1;
  }
  for (const char* on : {"true", "yes", "on"}) {
    if (text == on) return 1;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return 0;
  return number == 0 ? -1 : number == 1 ? 1 : 0;
}

bool is_harmless(const ForeignVariable& variable, const std::string& value) {
  if (value.empty()) return true;
  const int state = read_switch(value);
  return variable.harmless == kAnything || (variable.harmless == kOff && state == -1) ||
         (variable.harmless == kOn && state == 1);
}

// Words that the community's names begin with, and others' hardly.
constexpr std::string_view kFamilies[] = {
    "ALPHA_", "BIGRAM_", "EMA_", "LATE_QAT_", "LORA_", "MTP_", "MUON_", "NGRAM_",    "QK_GAIN_",
    "ROPE_",  "SMEAR_",  "SWA_", "TRIGRAM_",  "TST_",  "TTT_", "VE_",   "WARMDOWN_", "XSA_"};

bool is_community_style(const std::string& name) {
  return name.find('_') != std::string::npos && std::ranges::all_of(name, [](unsigned char c) {
           return std::isupper(c) || std::isdigit(c) || c == '_';
         });
}

}  // namespace

std::span<const ForeignVariable> foreign_variables() { return kVariables; }

void check_foreign_variables(const EnvironmentLookup& environment) {
  if (!environment) return;
  for (const ForeignVariable& variable : kVariables) {
    const char* value = environment(variable.name);
    if (value == nullptr || is_harmless(variable, value)) continue;
    throw Error(fmt::format("environment variable {} is set: \"{}\", but {}; unset it",
                            variable.name, escape_terminal(value), variable.reason));
  }
}

std::vector<std::string> list_doubtful_variables(const std::vector<std::string>& names) {
  std::vector<std::string> known;
  const Recipe recipe;
  visit_recipe_fields(recipe, [&](const char*, const FieldInfo& info, const auto&) {
    if (*info.env != '\0') known.push_back(info.env);
  });
  for (const ForeignVariable& variable : kVariables) known.push_back(variable.name);
  std::vector<std::string> doubts;
  for (const std::string& name : names) {
    if (!is_community_style(name) || std::ranges::count(known, name) > 0) continue;
    const std::string nearest = find_nearest_name(name, known);
    // A name of the system's own is as far from ours as two mistakes in a short word.
    const bool is_near = !nearest.empty() && 6 * edit_distance(name, nearest) <= name.size();
    const bool is_of_family = std::ranges::any_of(
        kFamilies, [&](std::string_view family) { return name.starts_with(family); });
    if (!is_near && !is_of_family) continue;
    const std::string meant = is_near ? fmt::format("did you mean {}? ", nearest) : "";
    doubts.push_back(
        fmt::format("environment variable {} does nothing, it is no recipe key; {}\"train_gpt "
                    "recipe --help-keys\" lists those that are",
                    escape_terminal(name), meant));
  }
  return doubts;
}

}  // namespace pg
