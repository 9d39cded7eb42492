#include "harness/recipe/foreign_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>

#include "src/base/error.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

using enum ForeignVariable::Harmless;

// Left out are those that change no number there either: WARMUP_STEPS (undone before training),
// VAL_BATCH_SIZE, MTP_LOSS_WEIGHT (without heads), EMBED_LR and HEAD_LR (with tied embeddings),
// MUON_BETA2, ROPE_TRAIN_SEQ_LEN and MATRIX_LR_EARLY.
// clang-format off
constexpr auto kVariables = std::to_array<ForeignVariable>({
    {"COMPLEMENT_ALPHA", kOff, "this build has no complementary training"},
    {"MTP_NUM_HEADS", kOff, "this build has no multi-token prediction"},
    {"LATE_QAT", kOff, "this build has no quantisation-aware training"},
    {"LATE_QAT_THRESHOLD", kOff, "this build has no quantisation-aware training"},
    {"NUM_LOOPS", kOff, "this build has no depth recurrence"},
    {"PARALLEL_FINAL_LANE", kOff, "this build has no parallel lanes"},
    {"SPARSE_ATTN_GATE_SCALE", kOff, "this build has no attention gates"},
    {"DATA_PATH", kNothing, "the data are data.train_shards and data.val_shards"},
    {"EVAL_INCLUDE_TAIL", kOn, "every token of data.val_shards is scored"},
    {"TIE_EMBEDDINGS", kOn, "the output head is always tied to the embedding"},
    {"MLP_MULT", kNothing, "the MLP's width is model.mlp_hidden"},
    {"VE_ENABLED", kNothing, "the value embedding's width is model.value_embed_dim, 0 for none"},
    {"VE_LAYERS", kNothing, "blocks with a value embedding are model.value_embed_layers"},
    {"EMA_ENABLED", kNothing, "the average of the weights is train.average"},
    {"SWA_ENABLED", kOff, "the average of the weights is train.average"},
    {"FORCE_STOP_STEP", kOff, "the last step is train.max_steps"},
    {"EMBED_BITS", kNothing, "the bits of embedding tables are quant.embed_bits"},
    {"EMBED_CLIP", kNothing, "the clip of embedding tables is quant.embed_clip_sigmas"},
    {"MLP_CLIP", kNothing, "the clip of the MLP is quant.mlp_clip_sigmas"},
    {"TTT_ENABLED", kOff, "test-time training is ttt.kind"},
    {"TTT_BATCH_SEQS", kNothing, "the tokens of a test-time training step are ttt.batch_tokens"},
    {"NGRAM_ORDER", kOff, "the n-grams mixed in are mix.kind, mix.min_order and mix.max_order"},
    {"NGRAM_BUCKETS", kOff, "the n-grams mixed in are mix.kind, mix.min_order and mix.max_order"},
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
  return (variable.harmless == kOff && state == -1) || (variable.harmless == kOn && state == 1);
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

}  // namespace pg
